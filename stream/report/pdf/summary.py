"""Page 1 of the PDF: clip, verdict, timeline, ledger and the key frames at a glance."""

from __future__ import annotations

from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Spacer

from stream.report import wording
from stream.report.content import KeyFrame, ReportContent
from stream.report.overlay import draw_overlay
from stream.report.pdf.drawing import draw_share, draw_timeline, letter_name, place_overlay
from stream.report.pdf.style import (
    ALL,
    BODY,
    LABEL,
    NOTE,
    RAIL,
    RIGHT,
    SMALL,
    STRONG,
    STRONG_RIGHT,
    WARN,
    WARN_LINE,
    WIDTH,
    shorten,
    tabulate,
    write,
)

_TIMELINE, _COUNTS = 0.76 * WIDTH, 0.22 * WIDTH
_ACROSS, _PICTURE_MM = 5, 36
_PROBLEMS, _REASON = 3, 190


def build_summary(content: ReportContent) -> list[Any]:
    """Return the flowables of the first page."""
    kind = wording.kind_words(content)
    return [
        write(f"Sonostream {kind} report", NOTE),
        letter_name(content.clip_name, WIDTH),
        Spacer(0, 5),
        _verdict(content, kind),
        *_problems(content),
        Spacer(0, 4),
        tabulate(
            [[[_heading(content), draw_timeline(content, _TIMELINE)], _ledger(content)]],
            [_TIMELINE + 0.02 * WIDTH, _COUNTS],
            ("RIGHTPADDING", *ALL, 0),
        ),
        write(wording.timeline_words(content), NOTE),
        Spacer(0, 5),
        *_frames(content),
    ]


def warn(lines: list[str], title: str, width: float = WIDTH) -> Any:
    """Return a shaded box with a title and one paragraph a line."""
    return tabulate(
        [[write(title, STRONG)], *([write(line, SMALL)] for line in lines)],
        [width],
        ("BACKGROUND", *ALL, WARN),
        ("BOX", *ALL, 0.6, WARN_LINE),
        ("LEFTPADDING", *ALL, 6),
    )


def _verdict(content: ReportContent, kind: str) -> Any:
    marks = "".join(f"  {mark}" for mark in wording.mark_words(content))
    said = [
        write(f"{kind.capitalize()} verdict", NOTE),
        write(f"{shorten(content.verdict_label, 60)}{marks}", LABEL),
        write(content.verdict_text),
        write(wording.VERDICT_RULE, NOTE),
    ]
    width = 0.36 * WIDTH
    facts = [
        [write(wording.SHARE), write(wording.percent(content.verdict_share), STRONG_RIGHT)],
        [draw_share(content.verdict_share, width), ""],
        [write(wording.FINDING), write(shorten(content.positive_class, 40), STRONG_RIGHT)],
        [write(wording.THRESHOLD), write(f"{content.threshold:.2f}", STRONG_RIGHT)],
    ]
    flush = ("RIGHTPADDING", *ALL, 0)
    figures = tabulate(facts, [0.72 * width, 0.28 * width], flush, ("SPAN", (0, 1), (1, 1)))
    line = ("LINEABOVE", *ALL, 0.6, RAIL)
    return tabulate([[said, figures]], [WIDTH - width, width], line, flush)


def _problems(content: ReportContent) -> list[Any]:
    """Say the first problems; all of them are on the last page."""
    boxes = [warn([content.engine_warning], "Engine not accepted")] * bool(content.engine_warning)
    if content.problems or content.partial:
        lines = [shorten(text, 220) for text in content.problems[:_PROBLEMS]]
        if len(content.problems) > _PROBLEMS:
            lines.append(
                f"and {len(content.problems) - _PROBLEMS} more, under Method and provenance"
            )
        boxes.append(warn(lines, wording.problems_title(content)))
    return [part for box in boxes for part in (Spacer(0, 4), box)]


def _heading(content: ReportContent) -> Any:
    return write(f"Probability of {shorten(content.positive_class, 60)}", STRONG)


def _ledger(content: ReportContent) -> list[Any]:
    _, balances = wording.balance_words(content.ledger)
    rows = [
        [write(wording.state_words(name), BODY), write(str(count), RIGHT)]
        for name, count in content.ledger.items()
        if count or name == "grabbed"
    ]
    line, flush = ("LINEBELOW", *ALL, 0.3, RAIL), ("RIGHTPADDING", *ALL, 0)
    table = tabulate(rows, [0.7 * _COUNTS, 0.3 * _COUNTS], line, flush)
    sum_words = write(f"The sum {wording.verdict_on(balances)}.", NOTE if balances else STRONG)
    return [write(wording.LEDGER, STRONG), table, Spacer(0, 3), sum_words]


def _frames(content: ReportContent) -> list[Any]:
    keys = content.key_frames
    if not keys:
        return [write(wording.NO_KEY_FRAME)]
    width = WIDTH / _ACROSS
    cells: list[Any] = [_thumb(key, width - 8) for key in keys[:_ACROSS]]
    cells += [""] * (_ACROSS - len(cells))
    title = f"Key frames, with the saliency for {shorten(keys[0].shown_class, 60)}"
    rest = len(keys) - _ACROSS
    more = [write(f"and {rest} more on the pages that follow", NOTE)] if rest > 0 else []
    return [write(title, STRONG), tabulate([cells], [width] * _ACROSS), *more]


def _thumb(key: KeyFrame, width: float) -> list[Any]:
    picture = draw_overlay(key.image, key.saliency)
    return [
        place_overlay(picture, (width, _PICTURE_MM * mm)),
        Spacer(0, 2),
        write(f"{key.rank}: {wording.place_words(key)}", STRONG),
        write(shorten(key.reason, _REASON), SMALL),
    ]
