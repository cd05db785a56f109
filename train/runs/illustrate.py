"""The frames that matter most, each with the reasons: sheets, 600 DPI plots and a PDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calib.temperature import soften
from engines.spec import ModelSpec
from train.attribution.checks import check
from train.attribution.drawing import Origin, Row
from train.attribution.methods import LINE_STEPS, explain
from train.attribution.plots import NEEDED, draw_gradient_plots
from train.attribution.sheet import draw_sheet
from train.audit.leaks import shown_place
from train.data.prepare import Prepared
from train.data.split import TEST, VALIDATION
from train.runs.paper import Paper, Picture, Result, write_paper
from train.runs.parts import Outcome
from train.runs.results import RunReport, find_ours
from train.scoring.report import INTERVALS

TOP = 5
QUICK_STEPS, QUICK_METHODS = (8,), 3


@dataclass(frozen=True, slots=True, eq=False)
class Showcase:
    """What the illustrations of one model are made from.

    Parameters
    ----------
    prepared, outcome, spec : of the run
    folder : of the run; pictures go to its sub-folder ``attribution``
    quick : one frame of each part, the first three methods, few steps
    """

    prepared: Prepared
    outcome: Outcome
    spec: ModelSpec
    folder: Path
    quick: bool


def illustrate(show: Showcase, say: Callable[[str], None]) -> dict[str, tuple[Picture, ...]]:
    """Draw the comparison sheets, and the gradient plots where their methods are asked for.

    Returns
    -------
    by part, one picture per frame for the paper, or the sheet where there are no single plots
    """
    shown: dict[str, tuple[Picture, ...]] = {}
    for part in (VALIDATION, TEST):
        rows = [_row(show, part, place) for place in top_frames(show, part)]
        origin = Origin(show.spec.name, f"{part} part", show.prepared.rule)
        sheet = show.folder / "attribution" / f"{part}.png"
        draw_sheet(rows, origin, sheet, {"cam": max(show.spec.cam_scale)})
        pictures = [Picture(sheet, f"Methods compared on the {part} part.")]
        if set(NEEDED) <= set(rows[0].attributions):
            pictures += _plots(show, part, rows, origin)
        shown[f"{len(rows)} frames of the {part} part"] = tuple(pictures)
        say(f"attribution: {len(rows)} frames of the {part} part, {len(rows[0].checks)} methods")
    return shown


def top_frames(show: Showcase, part: str) -> list[int]:
    """Return places within a part: the highest scores of the positive class, one per group.

    When there are fewer groups than frames wanted, further frames of the same groups follow.
    """
    places = show.prepared.places(part)
    scores = part_probs(show, part)[:, show.spec.positive_index]
    order = np.argsort(-scores, kind="stable").tolist()
    seen: set[str] = set()
    first, others = [], []
    for row in order:
        group = show.prepared.samples[places[row]].group
        (others if group in seen else first).append(row)
        seen.add(group)
    return (first + others)[: 1 if show.quick else TOP]


def part_probs(show: Showcase, part: str) -> NDArray[np.float64]:
    """Return the tempered probabilities of a part, shape (M, C)."""
    return soften(show.outcome.said[part], show.spec.temperature)


def _row(show: Showcase, part: str, row: int) -> Row:
    place = show.prepared.places(part)[row]
    sample, frame = show.prepared.samples[place], np.array(show.prepared.inputs[place])
    target, recipe = show.spec.positive_index, show.outcome.recipe
    steps = QUICK_STEPS if show.quick else LINE_STEPS
    methods = recipe.attribution[: QUICK_METHODS if show.quick else None]
    found = explain(show.outcome.model, frame, target, methods, recipe.seed, line_steps=steps)
    checks = check(show.outcome.model, frame, target, found, recipe.seed)
    truth = f"{shown_place(sample)}; truth: {show.spec.classes[sample.label]}"
    score = float(part_probs(show, part)[row, target])
    return Row(frame, show.spec.positive_class, score, truth, found, checks)


def _plots(show: Showcase, part: str, rows: Sequence[Row], origin: Origin) -> list[Picture]:
    pictures = []
    for number, row in enumerate(rows, 1):
        path = show.folder / "attribution" / f"{part}-{number}.png"
        draw_gradient_plots(row, origin, path)
        pictures.append(Picture(path, f"{row.caption}; p({row.target}) = {row.score:.3f}."))
    return pictures


def write_summary(
    show: Showcase, report: RunReport, frames: dict[str, tuple[Picture, ...]], path: Path
) -> None:
    """Write the PDF: method, table beside the published figures, curves, frames."""
    recipe, figures = show.outcome.recipe, show.folder / "figures"
    names = dict.fromkeys([*report.published, "accuracy", "precision", "recall", "f1", "auroc"])
    curves = ("learning.png", "roc.png", "confusion.png", "reliability.png")
    trained, total = report.parameters
    paper = Paper(
        title=f"{report.recipe}: {report.positive} or not",
        method=(
            f"Network {', '.join(recipe.backbones)}, {trained:,} of {total:,} parameters trained, "
            f"input {recipe.input_px} px ({recipe.fit}); weights: {report.weights}.",
            f"{recipe.optimizer} at {recipe.learning_rate:g}, at most {recipe.epochs} epochs, "
            f"batch {recipe.batch}; weights of the {recipe.keep} epoch. Profile {report.profile}, "
            f"seed {report.seed}. Positive class: {report.positive}.",
        ),
        split=report.split,
        results=tuple(
            Result(name, find_ours(report, name), report.published.get(name)) for name in names
        ),
        interval=INTERVALS,
        published_where=report.published_where,
        curves=tuple(
            Picture(figures / name, name.removesuffix(".png"))
            for name in curves
            if (figures / name).is_file()
        ),
        frames=frames,
        warnings=report.warnings,
    )
    write_paper(paper, path)
