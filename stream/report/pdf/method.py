"""The last page of the PDF: how it was made, from what, and what happened to every frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Spacer

from stream.report import wording
from stream.report.content import ReportContent
from stream.report.pdf.style import (
    ALL,
    COLUMN,
    HEADING,
    NOTE,
    RAIL,
    SMALL,
    SMALL_RIGHT,
    STRONG,
    TEXT,
    TITLE,
    tabulate,
    tabulate_facts,
    write,
)
from stream.report.pdf.summary import warn

_NAMES = 28 * mm


def build_method(content: ReportContent) -> list[Any]:
    """Return the flowables of method and provenance, which flow through columns."""
    explained = any(key.explained is not None for key in content.key_frames)
    method = [*wording.METHOD, *[wording.EXPLAINED_MEANING] * explained]
    return [
        write("Method and provenance", TITLE),
        *_problems(content),
        write("Method", HEADING),
        *(write(text, TEXT) for text in method),
        write(wording.LEDGER, HEADING),
        write(wording.balance_words(content.ledger)[0], SMALL),
        Spacer(0, 4),
        _counts(content),
        write("Source", HEADING),
        tabulate_facts(content.source, COLUMN, _NAMES),
        write("Provenance", HEADING),
        tabulate_facts(content.provenance, COLUMN, _NAMES),
        Spacer(0, 8),
        write(content.disclaimer, STRONG),
    ]


def _problems(content: ReportContent) -> list[Any]:
    lines = [text for text in (content.engine_warning, *content.problems) if text]
    return [Spacer(0, 4), warn(lines, wording.problems_title(content), COLUMN)] if lines else []


def _counts(content: ReportContent) -> Any:
    line, third = content.timeline, COLUMN / 3
    tables = (
        ("Ledger", content.ledger.items()),
        ("Gate: state of the frames", Counter(line.state).most_common()),
        ("Smoothed label", Counter(label or "no label" for label in line.label).most_common()),
    )
    cells = [_table(title, rows, third - 10) for title, rows in tables]
    return tabulate([cells], [third] * 3, ("RIGHTPADDING", *ALL, 10))


def _table(title: str, rows: Iterable[tuple[str, int]], width: float) -> list[Any]:
    written = [
        [write(wording.state_words(name), SMALL), write(str(n), SMALL_RIGHT)] for name, n in rows
    ]
    if not written:
        return [write(title, NOTE)]
    line, flush = ("LINEBELOW", *ALL, 0.3, RAIL), ("RIGHTPADDING", *ALL, 0)
    return [write(title, NOTE), tabulate(written, [0.8 * width, 0.2 * width], line, flush)]
