"""What `stream train` does: recipe and data in, model and figures out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch

from calib.temperature import calibration_error
from engines.load import load_model
from engines.spec import ModelSpec
from stream.errors import UsageError
from train.card import draw_card
from train.data import list_digest, read_frames
from train.export import export_model
from train.metrics import Figures, measure
from train.models import Classifier, load_backbone
from train.pointing import measure_pointing
from train.recipe import Recipe, read_recipe
from train.report import (
    Calibration,
    RunReport,
    draw_report,
    read_published,
    write_file,
    write_report,
)
from train.run import Outcome, run_folds, run_parts

TABLE = "frames.csv"
CARD_SEEDS, CARD_FRAMES, QUICK_SEEDS = 60, 6, 6
QUICK_STEP, QUICK_ENOUGH = 8, 200


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of one run; see `train.cli.train`."""

    recipe: str
    data: Path | None
    weights: Path | None
    out: Path
    seed: int | None
    quick: bool

    @property
    def command(self) -> str:
        """The command line that gives this order, without folders."""
        words = ["stream train", self.recipe]
        words += ["--data FOLDER"] if self.data else []
        words += [f"--weights {self.weights.name}"] if self.weights else []
        words += [f"--seed {self.seed}"] if self.seed is not None else []
        return " ".join([*words, "--quick"] if self.quick else words)


def run_recipe(order: Order, say: Callable[[str], None]) -> tuple[str, Path]:
    """Carry out a recipe and return its report and the path of its model.

    Raises
    ------
    UsageError
        If recipe, data or weights cannot be used; before any work.
    StorageError
        If the run folder cannot be written; before any work.
    """
    recipe = _read(order)
    table = _find_table(recipe, order.data)
    samples = read_frames(table, recipe.classes) if table else []
    samples = samples[::QUICK_STEP] if order.quick and len(samples) > QUICK_ENOUGH else samples
    folder = order.out / recipe.name
    write_file(folder / "recipe.json", msgspec.json.format(msgspec.json.encode(recipe), indent=2))
    torch.manual_seed(recipe.seed)
    start = Classifier(
        recipe.backbone, len(recipe.classes), recipe.drop, recipe.neck, recipe.stages
    )
    source = load_backbone(start, recipe.backbone, order.weights)
    if recipe.phantom:
        outcome = run_parts(start, recipe.phantom, recipe, say)
    else:
        outcome = run_folds(start, samples, recipe, say)
    report = _report(outcome, recipe, source, table)
    path = folder / f"{recipe.name}.onnx"
    spec = _spec(outcome, recipe, report)
    export_model(outcome.model, spec, path)
    load_model(path)
    write_report(report, folder)
    seeds = QUICK_SEEDS if order.quick else CARD_SEEDS
    pointing = str(measure_pointing(path, None, seeds, CARD_FRAMES)) if recipe.phantom else ""
    write_file(path.with_suffix(".md"), draw_card(spec, report, order.command, pointing).encode())
    return draw_report(report), path


def _read(order: Order) -> Recipe:
    recipe = read_recipe(order.recipe)
    recipe = recipe.quickened() if order.quick else recipe
    return recipe if order.seed is None else msgspec.structs.replace(recipe, seed=order.seed)


def _find_table(recipe: Recipe, data: Path | None) -> Path | None:
    if recipe.phantom:
        if data is not None:
            raise UsageError(
                recipe.name,
                f"--data {data} with a recipe that generates its clips",
                "leave --data out",
            )
        return None
    if data is None:
        raise UsageError(recipe.name, "no data", f"give --data FOLDER with {TABLE}")
    return data / TABLE if data.is_dir() else data


def _report(outcome: Outcome, recipe: Recipe, weights: str, table: Path | None) -> RunReport:
    tested, raw = outcome.tested, outcome.raw
    names = sorted(set(outcome.parts))
    parts: dict[str, Figures] = {}
    for name in names if len(names) > 1 else ():
        here = np.array([part == name for part in outcome.parts])
        parts[name] = measure(tested.where(here), recipe.classes)
    return RunReport(
        recipe=recipe.name,
        seed=recipe.seed,
        weights=weights,
        data_digest=list_digest(outcome.trained_on),
        split=outcome.split,
        left_out=outcome.left_out,
        calibration=Calibration(
            outcome.reference.temperature,
            calibration_error(raw.probs, raw.labels),
            calibration_error(tested.probs, tested.labels),
            outcome.reference.threshold,
        ),
        frames=measure(tested, recipe.classes),
        clips=measure(tested.by_clip(), recipe.classes),
        parts=parts,
        published=read_published(table.parent) if table else [],
    )


def _spec(outcome: Outcome, recipe: Recipe, report: RunReport) -> ModelSpec:
    reference = outcome.reference
    return ModelSpec(
        name=recipe.name,
        classes=recipe.classes,
        positive_class=recipe.positive_class,
        input_wh=(recipe.input_px, recipe.input_px),
        fit=recipe.fit,
        temperature=reference.temperature,
        threshold=reference.threshold,
        threshold_rule=reference.threshold_rule,
        cam_kind="cam",
        cam_scale=reference.cam_scale,
        gate=reference.gate,
        data_digest=report.data_digest,
        metrics=_headlines(report),
        metrics_split=report.split,
        licence=recipe.licence,
        intended_use=recipe.intended_use,
    )


def _headlines(report: RunReport) -> dict[str, float]:
    found: dict[str, float] = {}
    for level, figures in (("frame", report.frames), ("clip", report.clips)):
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            figure = getattr(figures, name)
            found |= {
                f"{level}_{name}": figure.value,
                f"{level}_{name}_low": figure.low,
                f"{level}_{name}_high": figure.high,
            }
    return found | {"calibration_error": report.calibration.error_after}
