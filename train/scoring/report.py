"""What training and test runs write: whole files, and tables of figures to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stream.errors import StorageError
from train.scoring.metrics import Figure, Figures

INTERVALS = "Intervals are 95 %, from 2000 draws of people."
HEADINGS = (
    "level",
    "count",
    "people",
    "accuracy",
    "balanced accuracy",
    "macro F1",
    "calibration error",
    "Brier score",
)
CLASS_HEADINGS = (
    "level",
    "class",
    "count",
    "precision",
    "recall (sensitivity)",
    "specificity",
    "F1",
    "AUROC",
    "AUPRC",
)


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


def draw_table(rows: Mapping[str, Figures]) -> str:
    """Return headline figures as a Markdown table."""
    body = [
        (
            name,
            *map(str, (f.count, f.groups, f.accuracy, f.balanced_accuracy, f.macro_f1)),
            *map(str, (f.calibration_error, f.brier)),
        )
        for name, f in rows.items()
    ]
    return "\n".join(draw_markdown(HEADINGS, body))


def draw_classes(levels: Mapping[str, Figures]) -> str:
    """Return the figures of each class as a Markdown table; the class that matters is marked."""
    body = [
        (
            level,
            f"{name} (positive)" if name == figures.positive else name,
            str(c.count),
            *(_number(v) for v in (c.precision, c.recall, c.specificity, c.f1, c.auroc, c.auprc)),
        )
        for level, figures in levels.items()
        for name, c in figures.per_class.items()
    ]
    return "\n".join(draw_markdown(CLASS_HEADINGS, body))


def draw_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _number(value: Figure | None) -> str:
    return "-" if value is None else str(value)
