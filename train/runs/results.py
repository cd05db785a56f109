"""What a training run found out: metrics.json, metrics.md and history.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from engines.spec import ModelSpec
from train.runs.parts import History
from train.scoring.metrics import Figure, Figures
from train.scoring.report import INTERVALS, draw_classes, draw_markdown, draw_table, write_file

LEAKED = "LEAKING SPLIT, allowed by --allow-leak: these figures are too good"
RANDOM_START = "RANDOM START: no pretrained weights; these figures show that it runs, nothing else"


class VariantReport(msgspec.Struct, frozen=True):
    """One network of a study: parameters, and figures of frames without the engine.

    Parameters
    ----------
    parameters_trained, parameters : counts, running statistics included in the second
    epochs : that were run
    validation, test : figures, with a temperature fitted on the validation part
    """

    backbones: tuple[str, ...]
    weights: str
    parameters_trained: int
    parameters: int
    epochs: int
    validation: Figures
    test: Figures


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a training run found out.

    Parameters
    ----------
    recipe, profile, variant, seed, weights, data_digest : what was run, on what; `variant` is the
        exported one
    split : how frames were held out, in words
    leaks : what is on both sides of the split, in words
    left_out : per fold, frames that were neither trained on nor tested, to keep people apart
    parameters : trained and all, of the exported model
    measured_by : what gave the held-out predictions, an engine or torch
    parity : largest difference between engine and torch for each output, relative
    temperature, threshold : as in the spec
    frames, clips, people : pooled held-out figures
    loss : mean cross-entropy of the held-out frames, without the temperature
    parts : figures of frames by fold or region
    mean_over_parts : of the folds' figures, as cross-validated results are published
    variants : the networks that were compared
    published : figures of the system that the recipe rebuilds, and where they are from
    warnings : what a reader has to know before the figures
    """

    recipe: str
    profile: str
    variant: str
    seed: int
    weights: str
    data_digest: str
    split: str
    leaks: tuple[str, ...]
    left_out: dict[str, int]
    parameters: tuple[int, int]
    measured_by: str
    parity: dict[str, float]
    temperature: float
    threshold: float
    positive: str
    frames: Figures
    clips: Figures
    people: Figures
    loss: float
    parts: dict[str, Figures]
    mean_over_parts: dict[str, float]
    variants: dict[str, VariantReport]
    published: dict[str, float]
    published_where: str
    warnings: tuple[str, ...]

    @property
    def levels(self) -> dict[str, Figures]:
        """Pooled figures by what is counted."""
        return {"frames": self.frames, "clips": self.clips, "people": self.people}


def write_report(report: RunReport, history: History, folder: Path) -> None:
    """Write metrics.json, metrics.md and history.csv into `folder`.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    write_file(folder / "metrics.json", msgspec.json.format(msgspec.json.encode(report), indent=2))
    write_file(folder / "metrics.md", draw_report(report).encode())
    write_file(folder / "history.csv", _table(history).encode())


def draw_report(report: RunReport) -> str:
    """Return the report as Markdown."""
    rows = {f"{name}, pooled": figures for name, figures in report.levels.items()}
    rows |= {f"frames, {name}": figures for name, figures in report.parts.items()}
    pooled = report.frames
    lines = [
        f"# {report.recipe}, profile {report.profile}: held-out figures",
        "",
        *(f"**{warning}.**\n" for warning in report.warnings),
        f"{report.split} {INTERVALS} Measured by {report.measured_by}.",
        *(f"- leak: {leak}" for leak in report.leaks),
        "",
        draw_table(rows),
        "",
        draw_classes(report.levels),
        "",
        f"Loss (cross-entropy, frames) {report.loss:.4f}. "
        f"Temperature {report.temperature:.3f}: calibration error {pooled.uncalibrated_error} "
        f"before, {pooled.calibration_error} after. Threshold {report.threshold:.3f}. "
        f"Seed {report.seed}, weights {report.weights}.",
    ]
    if report.variants:
        lines += ["", "## Compared networks", "", draw_variants(report)]
    if report.published:
        lines += ["", "## Published", "", draw_published(report)]
    return "\n".join(lines) + "\n"


def draw_variants(report: RunReport) -> str:
    """Return one row per network that was compared, as Markdown."""
    head = ("network", "trained", "all", "epochs", "validation", "test accuracy", "test balanced")
    head += ("sensitivity", "specificity", "precision", "F1")
    body = []
    for name, variant in report.variants.items():
        own = variant.test.per_class.get(report.positive)
        figures = [
            own and getattr(own, key) for key in ("recall", "specificity", "precision", "f1")
        ]
        body.append(
            (
                f"**{name}**" if name in report.variant.split(" + ") else name,
                f"{variant.parameters_trained:,}",
                f"{variant.parameters:,}",
                str(variant.epochs),
                f"{variant.validation.balanced_accuracy.value:.3f}",
                str(variant.test.accuracy),
                str(variant.test.balanced_accuracy),
                *("-" if figure is None else str(figure) for figure in figures),
            )
        )
    return "\n".join(draw_markdown(head, body))


def draw_published(report: RunReport) -> str:
    """Return our figures beside the published ones, as Markdown."""
    body = [
        (name.replace("_", " "), ours(report, name), f"{value:.4g}")
        for name, value in report.published.items()
    ]
    table = draw_markdown(("figure", "ours", "published"), body)
    return "\n".join([*table, "", f"Published: {report.published_where}."])


def ours(report: RunReport, name: str) -> str:
    """Return our figure of a published name in words; cross-validated ones are means over folds."""
    if name in report.mean_over_parts:
        return f"{report.mean_over_parts[name]:.3f} (mean over {len(report.parts)} folds)"
    found = find_ours(report, name)
    return "-" if found is None else str(found)


def find_ours(report: RunReport, name: str) -> Figure | None:
    """Return our figure of a published name: overall, of the positive class, or of a region."""
    figures = report.frames
    region, _, rest = name.partition("_")
    if region in report.parts:
        figures, name = report.parts[region], rest
    own = figures.per_class[report.positive]
    found: Figure | None = getattr(figures, name, None) or getattr(own, name, None)
    return found


def headlines(report: RunReport) -> dict[str, float]:
    """Return the figures that go into the spec."""
    found: dict[str, float] = {}
    for level, figures in (("frame", report.frames), ("clip", report.clips)):
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            figure: Figure = getattr(figures, name)
            found |= {
                f"{level}_{name}": figure.value,
                f"{level}_{name}_low": figure.low,
                f"{level}_{name}_high": figure.high,
            }
    return found | {"calibration_error": report.frames.calibration_error.value}


def mean_over(parts: dict[str, Figures]) -> dict[str, float]:
    """Return the means over folds that published cross-validations give."""
    return {
        name: float(np.mean([getattr(figures, name).value for figures in parts.values()]))
        for name in ("accuracy", "balanced_accuracy", "macro_f1")
    }


def draw_card(spec: ModelSpec, report: RunReport, command: str, pointing: str = "") -> str:
    """Return the card of an exported model as Markdown.

    Parameters
    ----------
    command : by which the model was made
    pointing : how well its map points at the finding, in words, or empty
    """
    pooled = report.frames
    lines = [
        f"# {spec.name}",
        "",
        *(f"**{warning}.**\n" for warning in report.warnings),
        f"Intended use: {spec.intended_use}.",
        "",
        f"- Classes: {', '.join(spec.classes)}; positive: {spec.positive_class}.",
        f"- Network: {report.variant}; map: {spec.cam_kind}.",
        f"- Input: {spec.input_wh[0]} x {spec.input_wh[1]} RGB, {spec.fit}.",
        f"- Licence: {spec.licence}.",
        f"- Made by `{command}`; seed {report.seed}; weights {report.weights}.",
        f"- Training list: sha256 `{spec.data_digest}`.",
        f"- Temperature {spec.temperature:.3f}: calibration error {pooled.uncalibrated_error} "
        f"before, {pooled.calibration_error} after.",
        f"- Threshold {spec.threshold:.3f}: {spec.threshold_rule}.",
        f"- Gate: {spec.gate.rule if spec.gate else 'none'}.",
        "",
        "## Held-out figures",
        "",
        f"{spec.metrics_split} {INTERVALS}",
        "",
        draw_table(report.levels),
        "",
        draw_classes(report.levels),
    ]
    if pointing:
        lines += ["", "## Saliency", "", f"{pointing}."]
    return "\n".join(lines) + "\n"


def _table(history: History) -> str:
    columns: Sequence[str] = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()
