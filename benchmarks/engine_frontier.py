"""Draws speed against agreement as SVG, one panel a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

PANEL_WH = (430, 330)
MARGIN = (60, 64, 18, 48)
"""Left, top, right, bottom."""
LEAST = 0.9
"""Agreement at the left end of the axis; what is lower is drawn there."""
TICKS = (0.9, 0.95, 0.98, 0.99, 0.998, 1.0)
COLORS = {"fp32": "#5b6673", "bf16": "#1f6fb4", "int8": "#c8541c", "fp16": "#1f6fb4"}
INK, FAINT, LIMIT_COLOR = "#22272e", "#dfe3e8", "#9aa3ad"
LIMIT = 0.99
RADIUS = 5.5


@dataclass(frozen=True, slots=True)
class Point:
    """An engine or a variant.

    Parameters
    ----------
    agreement : share of frames with the reference's top class
    ratio : rate over that of OpenVINO's FP32
    precision, backend : colour, and shape: circle for OpenVINO, square for ONNX Runtime
    accepted : by the gate; filled
    variant : of the INT8 series; smaller
    label : number of the variant, or empty
    """

    agreement: float
    ratio: float
    precision: str
    backend: str
    accepted: bool
    variant: bool
    label: str


def collect_points(model: dict[str, Any]) -> list[Point]:
    """Return the engines of a model at one frame a run, for throughput, and its variants."""
    rows = [
        row
        for row in model["rows"]
        if row["mode"] == "throughput" and row["batch"] == 1 and row.get("gate")
    ]
    points = [_point(row, row["precision"], row["backend"], "") for row in rows]
    return points + [
        _point(row, "int8", "openvino", str(number), variant=True)
        for number, row in enumerate(model["variants"], 1)
    ]


def draw_frontier(models: Sequence[dict[str, Any]], budgets: dict[str, float]) -> str:
    """Return the SVG of the models that were judged.

    Parameters
    ----------
    models : of the benchmark's result
    budgets : wanted ratio by the beginning of a label
    """
    judged = [model for model in models if model["trained"]]
    columns = 2
    rows = -(-len(judged) // columns)
    width, height = PANEL_WH[0] * columns, PANEL_WH[1] * rows + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_draw_legend(),
    ]
    for place, model in enumerate(judged):
        left, top = PANEL_WH[0] * (place % columns), 30 + PANEL_WH[1] * (place // columns)
        wanted = next((b for name, b in budgets.items() if model["label"].startswith(name)), None)
        parts += [f'<g transform="translate({left} {top})">', *_draw_panel(model, wanted), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Axes:
    """Places in a panel; the ratio runs from 0 to `most`.

    The other axis is by the root of the share of frames that disagree, as what matters is near 1.
    """

    most: float

    def x(self, agreement: float) -> float:
        left, right = MARGIN[0], PANEL_WH[0] - MARGIN[2] - 24
        share = math.sqrt(min(1 - agreement, 1 - LEAST) / (1 - LEAST))
        return right - share * (right - left)

    def y(self, ratio: float) -> float:
        top, bottom = MARGIN[1], PANEL_WH[1] - MARGIN[3]
        return bottom - ratio / self.most * (bottom - top)


def _point(
    row: dict[str, Any], precision: str, backend: str, label: str, *, variant: bool = False
) -> Point:
    gate = row["gate"]
    agreement = gate.get("top1_agreement", 0.0)
    return Point(agreement, row["over_fp32"], precision, backend, gate["accepted"], variant, label)


def _draw_panel(model: dict[str, Any], wanted: float | None) -> Iterator[str]:
    points = collect_points(model)
    axes = _Axes(max([point.ratio for point in points] + [wanted or 0, 1.5]) * 1.08)
    yield _text(MARGIN[0], 24, model["label"], "start", INK, bold=True)
    yield _text(MARGIN[0], 42, "times the rate of OpenVINO FP32", "start", INK)
    yield from _draw_grid(axes, wanted)
    for point in sorted(points, key=lambda point: not point.variant):
        yield _draw_mark(point, axes.x(point.agreement), axes.y(point.ratio))
    yield from _draw_labels(points, axes)


def _draw_grid(axes: _Axes, wanted: float | None) -> Iterator[str]:
    left, right = MARGIN[0], PANEL_WH[0] - MARGIN[2]
    bottom = PANEL_WH[1] - MARGIN[3]
    step = 0.5 if axes.most < 4 else 1.0
    for number in range(int(axes.most / step) + 1):
        y = axes.y(number * step)
        yield _line(left, y, right, y, FAINT)
        yield _text(left - 8, y + 4, f"{number * step:g}", "end", INK)
    for tick in TICKS:
        yield _line(axes.x(tick), bottom, axes.x(tick), bottom + 4, INK)
        text = f"≤{tick:g}" if tick == LEAST else f"{tick:g}"
        yield _text(axes.x(tick), bottom + 18, text, "middle", INK)
    yield _text((left + right) / 2, bottom + 38, "top-1 agreement with FP32", "middle", INK)
    yield _line(axes.x(LIMIT), MARGIN[1], axes.x(LIMIT), bottom, LIMIT_COLOR, dashed=True)
    yield _text(axes.x(LIMIT) - 4, MARGIN[1] - 6, "gate 0.99", "end", LIMIT_COLOR)
    if wanted:
        yield _line(left, axes.y(wanted), right, axes.y(wanted), LIMIT_COLOR, dashed=True)
        yield _text(left + 4, axes.y(wanted) - 5, f"wanted {wanted:g} x", "start", LIMIT_COLOR)


def _draw_labels(points: Sequence[Point], axes: _Axes) -> Iterator[str]:
    """Write numbers right of the points, lower where one would cover another."""
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: -point.ratio):
        if not point.label:
            continue
        x, y = axes.x(point.agreement) + 7, axes.y(point.ratio) + 3
        while any(abs(x - left) < 12 and abs(y - top) < 9 for left, top in taken):
            y += 3
        taken.append((x, y))
        yield _text(x, y, point.label, "start", COLORS[point.precision], size=10)


def _draw_legend() -> Iterator[str]:
    x = 16.0
    for precision in ("fp32", "bf16", "int8"):
        mark = Point(1, 1, precision, "openvino", True, False, "")
        yield _draw_mark(mark, x, 18)
        yield _text(x + 10, 22, precision, "start", INK)
        x += 58
    for words, backend, accepted, variant in (
        ("OpenVINO", "openvino", True, False),
        ("ONNX Runtime", "onnxruntime", True, False),
        ("INT8 variant, numbered as in the table", "openvino", True, True),
        ("rejected by the gate", "openvino", False, False),
    ):
        color = "int8" if variant else "fp32"
        yield _draw_mark(Point(1, 1, color, backend, accepted, variant, ""), x, 18)
        yield _text(x + 10, 22, words, "start", INK)
        x += 36 + 6.2 * len(words)


def _draw_mark(point: Point, x: float, y: float) -> str:
    color = COLORS[point.precision]
    radius = RADIUS * (0.65 if point.variant else 1)
    fill = color if point.accepted else "white"
    style = f'fill="{fill}" stroke="{color}" stroke-width="1.6"'
    if point.backend == "onnxruntime":
        side = 2 * radius - 1
        corner = f'x="{x - side / 2:.1f}" y="{y - side / 2:.1f}"'
        return f'<rect {corner} width="{side:.1f}" height="{side:.1f}" {style}/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" {style}/>'


def _line(x1: float, y1: float, x2: float, y2: float, color: str, *, dashed: bool = False) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line {ends} stroke="{color}"{dash}/>'


def _text(x: float, y: float, text: str, anchor: str, color: str, **style: int) -> str:
    weight = ' font-weight="bold"' if style.get("bold") else ""
    size = f' font-size="{style["size"]}"' if "size" in style else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"'
    return f"<text {place}{weight}{size}>{escape(text)}</text>"
