"""Drawings of the PDF in vectors: timeline, legend, bars, scale bar; and pictures without loss."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reportlab.graphics.shapes import Circle, Drawing, Group, PolyLine, Rect, String
from reportlab.graphics.shapes import Line as Stroke
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Image

from stream.png import encode_png
from stream.report import wording
from stream.report.content import ReportContent
from stream.report.encode import encode_jpeg
from stream.report.pdf import style
from stream.report.pdf.style import (
    ACCENT,
    BOLD,
    INK,
    MUTED,
    PAPER,
    PLAIN,
    RAIL,
    drawable,
    shorten,
    write,
)
from stream.report.scale_bar import ScaleBar
from stream.report.sheet import Sheet, Style
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
    build_legend,
    build_timeline,
)

_LINES: dict[str, tuple[Any, float]] = {
    "grid": (RAIL, 0.9),
    "tick": (MUTED, 0.9),
    "raw": (style.TINT, 0.9),
    "smoothed": (ACCENT, 2.4),
    "threshold": (INK, 1.2),
}
_BANDS = {
    "uncertain": style.UNCERTAIN,
    "unfamiliar": style.UNFAMILIAR,
    "invalid": style.HATCH,
}
_LETTERS = 12.5
_NAME, _NAME_MM = 130, 7.5
_QUALITY = 95
_LEGEND_MM, _SAMPLE, _GAP = 4.2, 24, 10


def draw_timeline(content: ReportContent, width: float) -> Drawing:
    """Draw the timeline and its legend `width` points wide."""
    scale = width / WIDTH
    group = Group(*(part for shape in build_timeline(content) for part in _draw(shape)))
    legend_height = _LEGEND_MM * mm
    group.transform = (scale, 0, 0, scale, 0, legend_height)
    drawing = Drawing(width, HEIGHT * scale + legend_height, group, initialFontName=PLAIN)
    legend = Group(*_draw_legend(content))
    legend.transform = (scale, 0, 0, scale, 0, 0)
    drawing.add(legend)
    return drawing


def draw_share(value: float, width: float) -> Drawing:
    """Draw a share in [0, 1] as a bar."""
    filled = width * min(max(value, 0.0), 1.0)
    bars = [Rect(0, 0, length, 3.2, fillColor=colour, strokeColor=None)
            for length, colour in ((width, RAIL), (filled, ACCENT))]  # fmt: skip
    return Drawing(width, 3.2, *bars, initialFontName=PLAIN)


def draw_scale_bar(bar: ScaleBar, picture_width: float) -> Drawing:
    """Draw a scale bar and what it stands for, right aligned, for a picture so many points wide."""
    words, length = wording.bar_words(bar), bar.share * picture_width
    room = stringWidth(words, PLAIN, 7.5) + 4
    strokes = [
        Stroke(room, 4, room + length, 4, strokeColor=INK, strokeWidth=1),
        *(Stroke(x, 1.5, x, 6.5, strokeColor=INK, strokeWidth=1) for x in (room, room + length)),
    ]
    label = String(0, 1.4, words, fontName=PLAIN, fontSize=7.5, fillColor=INK)
    return Drawing(room + length + 0.5, 8, label, *strokes, hAlign="RIGHT", initialFontName=PLAIN)


def place_picture(picture: NDArray[np.uint8], room_wh: tuple[float, float]) -> Image:
    """Return a picture as large as fits: a grey or RGB frame, stored without loss."""
    return _place(encode_png(picture), picture, room_wh)


def place_overlay(picture: NDArray[np.uint8], room_wh: tuple[float, float]) -> Image:
    """Return a drawn picture as large as fits, as JPEG: without loss it takes ten times as long."""
    return _place(encode_jpeg(picture, _QUALITY), picture, room_wh)


def _place(data: bytes, picture: NDArray[np.uint8], room_wh: tuple[float, float]) -> Image:
    height, width = picture.shape[:2]
    scale = min(room_wh[0] / width, room_wh[1] / height)
    return Image(io.BytesIO(data), width * scale, height * scale, mask=None, hAlign="LEFT")


def letter_name(name: str, width: float) -> Any:
    """Return a name as a title; as a picture of it where the fonts lack its letters.

    OpenCV carries a font with most alphabets. Where the name is listed as text, under the source,
    its letters stand as escapes.
    """
    if drawable(name) == wording.printable(name):
        return write(shorten(name, _NAME), style.TITLE)
    sheet, look = Sheet((width / mm, _NAME_MM)), Style(4.6, 650)
    fitting = sheet.fit(name, look, width / mm, keep_end=12)
    sheet.write(fitting, (0.0, _NAME_MM - 2.2), look)
    return Image(io.BytesIO(sheet.encode_png()), width, _NAME_MM * mm, mask=None, hAlign="LEFT")


def _draw(shape: Shape) -> list[Any]:
    match shape:
        case Line(kind, strokes):
            return [_stroke(kind, stroke) for stroke in strokes]
        case Band(kind, left, width):
            return [_box(kind, left, HEIGHT - BOTTOM, width, BOTTOM - TOP)]
        case Dot((x, y)):
            return [Circle(x, HEIGHT - y, 2.5, fillColor=ACCENT, strokeColor=None)]
        case Words((x, y), text, anchor):
            return [_letters(x, HEIGHT - y, text, anchor)]
        case Mark(rank, x, circle_x):
            low = HEIGHT - MARK_Y - MARK_RADIUS
            path = (circle_x, low, x, low - 14, x, HEIGHT - BOTTOM)
            line = PolyLine(path, strokeColor=MUTED, strokeWidth=0.9)
            return [line, *_circle(circle_x, HEIGHT - MARK_Y, str(rank))]


def _stroke(kind: str, stroke: tuple[tuple[float, float], ...]) -> PolyLine:
    colour, width = _LINES[kind]
    points = stroke if len(stroke) > 1 else stroke * 2
    flat = [value for x, y in points for value in (round(x, 1), round(HEIGHT - y, 1))]
    round_ends = 0 if kind == "threshold" else 1
    line = PolyLine(flat, strokeColor=colour, strokeWidth=width, strokeLineCap=round_ends)
    line.strokeDashArray = [5, 4] if kind == "threshold" else None
    line.strokeLineJoin = 1
    return line


def _box(kind: str, left: float, low: float, width: float, height: float) -> Rect:
    return Rect(left, low, width, height, fillColor=_BANDS[kind], strokeColor=None)


def _letters(x: float, y: float, text: str, anchor: str) -> String:
    return String(
        x, y, drawable(text), textAnchor=anchor, fontName=PLAIN, fontSize=_LETTERS, fillColor=MUTED
    )


def _circle(x: float, y: float, number: str) -> list[Any]:
    words = String(x, y - 4.5, number, textAnchor="middle", fillColor=PAPER)
    words.fontName, words.fontSize = BOLD, 12
    return [Circle(x, y, MARK_RADIUS, fillColor=INK, strokeColor=None), words]


def _draw_legend(content: ReportContent) -> list[Any]:
    """Draw a sample of each look and its words in one row."""
    parts, x, y = [], 0.0, 4.0
    for kind, words in build_legend(content):
        if kind in _BANDS:
            parts.append(_box(kind, x, y - 2, _SAMPLE, 12))
        elif kind == "dot":
            parts.append(Circle(x + _SAMPLE / 2, y + 4, 2.5, fillColor=ACCENT, strokeColor=None))
        elif kind == "mark":
            parts += _circle(x + MARK_RADIUS + 2, y + 4.5, "1")
        else:
            parts.append(_stroke(kind, ((x, HEIGHT - y - 4), (x + _SAMPLE, HEIGHT - y - 4))))
        parts.append(_letters(x + _SAMPLE + 5, y, words, "start"))
        x += _SAMPLE + 5 + stringWidth(words, PLAIN, _LETTERS) + _GAP
    return parts
