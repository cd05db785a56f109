"""The probability of the positive class over the clip, as shapes that every format draws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.report import wording
from stream.report.axis import Axis, spread
from stream.report.content import ReportContent, Timeline

WIDTH, HEIGHT = 960, 290
LEFT, RIGHT, TOP, BOTTOM = 46, 944, 48, 244
MARK_Y, MARK_RADIUS = 14, 10
_BANDS = ("", "uncertain", "unfamiliar", "invalid")
_MARK_GAP = 23
_MOST_DOTS = 120
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """Strokes of one look; a stroke of one point is a dot."""

    kind: str
    strokes: tuple[tuple[Point, ...], ...]


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded run of frames, from the top of the plot to its bottom."""

    kind: str
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Dot:
    """One frame of a short clip."""

    at: Point


@dataclass(frozen=True, slots=True)
class Words:
    """Lettering that starts, ends or is centred at a place."""

    at: Point
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A key frame: its place on the axis, and that of its numbered circle above the plot."""

    rank: int
    x: float
    circle_x: float


Shape = Line | Band | Dot | Words | Mark


def build_timeline(content: ReportContent) -> tuple[Shape, ...]:
    """Lay out raw and smoothed probability, the threshold, shaded frames and the key frames.

    A clip with more frames than the drawing has columns keeps the least and greatest value of
    each column.

    Returns
    -------
    shapes in the order in which they are drawn, on a sheet of `WIDTH` by `HEIGHT`, y downwards
    """
    line, axis = content.timeline, build_axis(content)
    column = content.classes.index(content.positive_class)
    raw, threshold_y = line.probs[:, column], _y(content.threshold)
    shapes = [
        *_bands(line, axis),
        *_grid(axis, content),
        *_raw(raw, axis),
        Line("threshold", (((LEFT, threshold_y), (RIGHT, threshold_y)),)),
        _line("smoothed", line.smoothed[:, column], axis),
        *build_marks(content, axis),
    ]
    if not np.isfinite(raw).any():
        shapes.append(Words(((LEFT + RIGHT) / 2, 150), wording.NO_PROBABILITY, "middle"))
    return tuple(shapes)


def build_axis(content: ReportContent) -> Axis:
    """Return the time axis of the drawing."""
    return Axis(content.timeline.time_s, LEFT, RIGHT)


def build_marks(content: ReportContent, axis: Axis) -> list[Mark]:
    """Return the marks of the key frames in order of time, moved apart to stay readable."""
    index_of = {int(seq): index for index, seq in enumerate(content.timeline.seq)}
    marks = sorted((float(axis.x[index_of[key.seq]]), key.rank) for key in content.key_frames)
    circles = spread([x for x, _ in marks], _MARK_GAP, RIGHT)
    return [Mark(rank, x, circle) for (x, rank), circle in zip(marks, circles, strict=True)]


def build_points(content: ReportContent) -> list[tuple[float, str]]:
    """Return (x, words) of each column; the words tell of its frame with the highest probability.

    A column holds one frame, or several in a clip with more frames than columns.
    """
    line, axis = content.timeline, build_axis(content)
    smoothed = line.smoothed[:, content.classes.index(content.positive_class)]
    points = []
    for group in axis.groups:
        best = max(group, key=lambda frame: np.nan_to_num(smoothed[frame], nan=-1.0))
        words = wording.point_words(content, best, len(group))
        points.append((round(float(axis.x[best]), 1), words))
    return points


def build_legend(content: ReportContent) -> tuple[tuple[str, str], ...]:
    """Return each look of the timeline, as the kind of a shape, and what it stands for."""
    return (
        ("smoothed", "smoothed"),
        ("dot" if len(content.timeline.seq) <= _MOST_DOTS else "raw", "each frame"),
        ("threshold", f"threshold {content.threshold:.2f}"),
        ("uncertain", "uncertain"),
        ("unfamiliar", "unlike the training data"),
        ("invalid", "not used"),
        ("mark", "key frame by rank"),
    )


def _y(value: float) -> float:
    return BOTTOM - value * (BOTTOM - TOP)


def _line(kind: str, values: NDArray[np.float32], axis: Axis) -> Line:
    strokes: list[list[Point]] = []
    pen_down = False
    for index in axis.extremes(values):
        known = math.isfinite(values[index])
        if known and not pen_down:
            strokes.append([])
        if known:
            strokes[-1].append((float(axis.x[index]), _y(float(values[index]))))
        pen_down = known
    return Line(kind, tuple(map(tuple, strokes)))


def _raw(values: NDArray[np.float32], axis: Axis) -> Iterator[Shape]:
    """Show each frame as a dot in a short clip, as a thin line in a long one."""
    if values.size > _MOST_DOTS:
        yield _line("raw", values, axis)
        return
    for index in np.flatnonzero(np.isfinite(values)):
        yield Dot((float(axis.x[index]), _y(float(values[index]))))


def _bands(line: Timeline, axis: Axis) -> Iterator[Band]:
    """Shade the runs of frames that were not believed, unlike the training data, or uncertain."""
    ranks = np.array([_rank(*pair) for pair in zip(line.state, line.label, strict=True)], np.int64)
    for rank, left, right in axis.runs(ranks):
        if rank:
            yield Band(_BANDS[rank], left, max(right - left, 1.0))


def _rank(state: str, label: str) -> int:
    if state == "ok":
        return int(label == "uncertain")
    return 2 if state == "not_ultrasound" else 3


def _grid(axis: Axis, content: ReportContent) -> Iterator[Shape]:
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(value)
        yield Line("grid", (((LEFT, y), (RIGHT, y)),))
        yield Words((LEFT - 8, y + 4), f"{value:g}", "end")
    for value in axis.ticks(whole=not content.timeline.has_time):
        x = axis.place(value)
        yield Line("tick", (((x, BOTTOM), (x, BOTTOM + 5)),))
        yield Words((x, BOTTOM + 19), f"{value:.10g}", "middle")
    yield Words(((LEFT + RIGHT) / 2, HEIGHT - 6), wording.axis_words(content), "middle")
