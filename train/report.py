"""The written result of a training or test run: metrics.json and a table to read."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from stream.errors import StorageError
from train.metrics import Figures

PUBLISHED = "published_same_split.csv"
INTERVALS = "Intervals are 95 %, from 2000 draws of people."
HEADINGS = ("what", "frames or clips", "people", "accuracy", "balanced accuracy", "macro F1")


class Calibration(msgspec.Struct, frozen=True):
    """How honest the probabilities are before and after the temperature."""

    temperature: float
    error_before: float
    error_after: float
    threshold: float


class RunReport(msgspec.Struct, frozen=True):
    """Everything a training run found out.

    Parameters
    ----------
    recipe, seed, weights, data_digest : what was run, on what
    split : how frames were held out, in words
    left_out : per fold, frames that were neither trained on nor tested, to keep people apart
    frames, clips : pooled figures
    parts : figures of frames by fold
    published : rows of the data's file of published figures, if it has one
    """

    recipe: str
    seed: int
    weights: str
    data_digest: str
    split: str
    left_out: dict[str, int]
    calibration: Calibration
    frames: Figures
    clips: Figures
    parts: dict[str, Figures]
    published: list[dict[str, str]]


def write_report(report: RunReport, folder: Path) -> None:
    """Write metrics.json and metrics.md into `folder`.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    write_file(folder / "metrics.json", msgspec.json.format(msgspec.json.encode(report), indent=2))
    write_file(folder / "metrics.md", draw_report(report).encode())


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            str(path), f"cannot be written: {error.strerror}", "choose another --out", fault="C08"
        ) from error


def draw_report(report: RunReport) -> str:
    """Return the report as Markdown."""
    rows = {"frames, pooled": report.frames, "clips, pooled": report.clips}
    rows |= {f"frames, fold {name}": figures for name, figures in report.parts.items()}
    calibration = report.calibration
    lines = [
        f"# {report.recipe}: held-out figures",
        "",
        f"{report.split} {INTERVALS}",
        "",
        draw_table(rows),
        "",
        draw_classes({"frame": report.frames, "clip": report.clips}),
        "",
        f"Temperature {calibration.temperature:.3f}: calibration error "
        f"{calibration.error_before:.3f} before, {calibration.error_after:.3f} after. "
        f"Threshold {calibration.threshold:.3f}. Seed {report.seed}, weights {report.weights}.",
    ]
    if report.published:
        lines += ["", "## Published, frame level", "", *_draw_published(report.published)]
    return "\n".join(lines) + "\n"


def draw_table(rows: Mapping[str, Figures]) -> str:
    """Return headline figures as a Markdown table."""
    body = [
        (
            name,
            str(f.count),
            str(f.groups),
            str(f.accuracy),
            str(f.balanced_accuracy),
            str(f.macro_f1),
        )
        for name, f in rows.items()
    ]
    return "\n".join(_markdown(HEADINGS, body))


def draw_classes(levels: Mapping[str, Figures]) -> str:
    """Return the figures of each class as a Markdown table."""
    body = [
        (level, name, str(c.count), *(_number(v) for v in (c.precision, c.recall, c.f1, c.auroc)))
        for level, figures in levels.items()
        for name, c in figures.per_class.items()
    ]
    return "\n".join(
        _markdown(("level", "class", "count", "precision", "recall", "F1", "AUROC"), body)
    )


def read_published(folder: Path) -> list[dict[str, str]]:
    """Return the rows of published figures beside the data, empty when there are none."""
    path = folder / PUBLISHED
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _draw_published(rows: Sequence[dict[str, str]]) -> list[str]:
    keys = ("model", "test_fold", "frames", "accuracy", "balanced_accuracy", "macro_f1")
    return _markdown(
        [key.replace("_", " ") for key in keys],
        [[row.get(key, "") for key in keys] for row in rows],
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
