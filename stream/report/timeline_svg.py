"""The timeline as inline SVG; colours come from the style sheet of the page."""

from __future__ import annotations

import msgspec
from markupsafe import Markup

from stream.report.content import ReportContent
from stream.report.timeline import (
    BOTTOM,
    HEIGHT,
    MARK_RADIUS,
    MARK_Y,
    TOP,
    WIDTH,
    Band,
    Dot,
    Line,
    Mark,
    Shape,
    Words,
    build_axis,
    build_marks,
    build_points,
    build_timeline,
)
from stream.report.wording import printable, timeline_words

_HATCH = Markup(
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path class="hatch" d="M3 0V6"/></pattern></defs>'
)
_SHEET = Markup(
    '<svg id="plot" class="timeline" viewBox="0 0 {} {}" role="group" aria-labelledby="line-text"'
    ' data-points="{}" data-keys="{}"><desc id="line-text">{}</desc>{}{}'
    '<path id="cursor" class="cursor" d="M0 {}V{}" visibility="hidden"/></svg>'
)
_MARK = Markup(
    '<a class="mark" href="#frame-{}" aria-label="Key frame {}"><path d="M{:.1f} {}L{:.1f} {}V{}"/>'
    '<circle cx="{:.1f}" cy="{}" r="{}"/>{}</a>'
)


def draw_timeline(content: ReportContent) -> Markup:
    """Draw the timeline with what the page's script needs to read it under the pointer.

    Returns
    -------
    one ``<svg>`` element. `data-points` holds [x, words] for each column and `data-keys`
    [x, rank] for each key frame, both as JSON in order of x; its links work without a script
    """
    marks = [(round(mark.x, 1), mark.rank) for mark in build_marks(content, build_axis(content))]
    return _SHEET.format(
        WIDTH,
        HEIGHT,
        msgspec.json.encode(build_points(content)).decode(),
        msgspec.json.encode(marks).decode(),
        timeline_words(content),
        _HATCH,
        Markup().join(map(_draw, build_timeline(content))),
        TOP,
        BOTTOM,
    )


def _draw(shape: Shape) -> Markup:
    match shape:
        case Line(kind, strokes):
            path = "".join(
                f"M{stroke[0][0]:.1f} {stroke[0][1]:.1f}"
                + "".join(
                    f"L{x:.1f} {y:.1f}" for x, y in (stroke if len(stroke) == 1 else stroke[1:])
                )
                for stroke in strokes
            )
            return Markup('<path class="{}" d="{}"/>').format(kind, path)
        case Band(kind, left, width):
            box = Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>')
            return box.format(kind, left, TOP, width, BOTTOM - TOP)
        case Dot((x, y)):
            return Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(x, y)
        case Words(at, text, anchor):
            return _write(*at, text, anchor)
        case Mark():
            return _draw_mark(shape)


def _draw_mark(mark: Mark) -> Markup:
    low_y = MARK_Y + MARK_RADIUS
    return _MARK.format(
        *(mark.rank, mark.rank, mark.circle_x, low_y, mark.x, low_y + 14, BOTTOM),
        *(mark.circle_x, MARK_Y, MARK_RADIUS),
        _write(mark.circle_x, MARK_Y + 4.5, str(mark.rank), "middle"),
    )


def _write(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, printable(text)
    )
