"""The probability of the positive class over the clip, drawn as inline SVG."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from stream.report.axis import Axis, spread
from stream.report.content import ReportContent, Timeline
from stream.report.wording import printable

_WIDTH, _HEIGHT = 960, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 944, 48, 244
_BANDS = ("", "uncertain", "unfamiliar", "invalid")
_MARK_Y, _MARK_RADIUS, _MARK_GAP = 14, 10, 23
_MOST_DOTS = 120
_HATCH = Markup(
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path class="hatch" d="M3 0V6"/></pattern></defs>'
)


def draw_timeline(content: ReportContent) -> Markup:
    """Draw raw and smoothed probability, the threshold, shaded frames and the key frames.

    Colours come from the style sheet of the page, by the classes named here. A clip with more
    frames than the drawing has columns keeps the least and greatest value of each column.

    Returns
    -------
    one ``<svg>`` element
    """
    line = content.timeline
    axis = Axis(line.time_s, _LEFT, _RIGHT)
    column = content.classes.index(content.positive_class)
    body = [
        _draw_bands(line, axis),
        _draw_grid(axis, line.has_time),
        _draw_raw(line.probs[:, column], axis),
        Markup('<path class="threshold" d="M{} {:.1f}H{}"/>').format(
            _LEFT, _y(content.threshold), _RIGHT
        ),
        _draw_line("smoothed", line.smoothed[:, column], axis),
        _draw_marks(content, axis),
    ]
    if not np.isfinite(line.probs[:, column]).any():
        body.append(_text((_LEFT + _RIGHT) / 2, 150, "No frame has a probability", "middle"))
    return Markup(
        '<svg class="timeline" viewBox="0 0 {} {}" role="img" aria-labelledby="line-text">'
        '<desc id="line-text">{}</desc>{}{}</svg>'
    ).format(_WIDTH, _HEIGHT, describe_timeline(content), _HATCH, Markup().join(body))


def describe_timeline(content: ReportContent) -> str:
    """Say in one sentence what the timeline shows."""
    line = content.timeline
    values = line.smoothed[:, content.classes.index(content.positive_class)]
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return "No frame has a probability."
    best = known[np.argmax(values[known])]
    above = int(np.count_nonzero(values[known] >= content.threshold))
    place = f"{line.time_s[best]:.2f} s" if line.has_time else f"frame {line.seq[best]}"
    return (
        f"The smoothed probability of {printable(content.positive_class)} peaks at "
        f"{values[best]:.2f} ({place}) and is at or above the threshold of "
        f"{content.threshold:.2f} in {above} of {known.size} frames."
    )


def _y(value: float) -> float:
    return _BOTTOM - value * (_BOTTOM - _TOP)


def _draw_line(name: str, values: NDArray[np.float32], axis: Axis) -> Markup:
    parts, pen_down = [], False
    for index in axis.extremes(values):
        known = math.isfinite(values[index])
        if known:
            point = f"{axis.x[index]:.1f} {_y(float(values[index])):.1f}"
            parts.append(f"L{point}" if pen_down else f"M{point}L{point}")
        pen_down = known
    return Markup('<path class="{}" d="{}"/>').format(name, "".join(parts))


def _draw_raw(values: NDArray[np.float32], axis: Axis) -> Markup:
    """Draw each frame as a dot in a short clip, as a thin line in a long one."""
    if values.size > _MOST_DOTS:
        return _draw_line("raw", values, axis)
    dot = Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2.5"/>')
    known = np.flatnonzero(np.isfinite(values))
    return Markup().join(dot.format(axis.x[i], _y(float(values[i]))) for i in known)


def _draw_bands(line: Timeline, axis: Axis) -> Markup:
    """Shade the runs of frames that were not believed, unlike the training data, or uncertain."""
    ranks = np.array([_rank(*pair) for pair in zip(line.state, line.label, strict=True)], np.int64)
    band = Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>')
    return Markup().join(
        band.format(_BANDS[rank], left, _TOP, max(right - left, 1.0), _BOTTOM - _TOP)
        for rank, left, right in axis.runs(ranks)
        if rank
    )


def _rank(state: str, label: str) -> int:
    if state == "ok":
        return int(label == "uncertain")
    return 2 if state == "not_ultrasound" else 3


def _draw_grid(axis: Axis, has_time: bool) -> Markup:
    level = Markup('<path class="grid" d="M{} {:.1f}H{}"/>{}')
    tick = Markup('<path class="tick" d="M{:.1f} {}v5"/>{}')
    unit = "time in the clip, seconds" if has_time else "frame number (the source has no clock)"
    parts = [
        level.format(_LEFT, _y(value), _RIGHT, _text(_LEFT - 8, _y(value) + 4, f"{value:g}", "end"))
        for value in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for value in axis.ticks(whole=not has_time):
        label = _text(axis.place(value), _BOTTOM + 19, f"{value:.10g}", "middle")
        parts.append(tick.format(axis.place(value), _BOTTOM, label))
    parts.append(_text((_LEFT + _RIGHT) / 2, _HEIGHT - 6, unit, "middle"))
    return Markup().join(parts)


def _draw_marks(content: ReportContent, axis: Axis) -> Markup:
    """Draw the key frames as numbered circles above the plot, moved apart to stay readable."""
    index_of = {int(seq): index for index, seq in enumerate(content.timeline.seq)}
    marks = sorted((float(axis.x[index_of[key.seq]]), key.rank) for key in content.key_frames)
    circles = spread([x for x, _ in marks], _MARK_GAP, _RIGHT)
    shape = Markup(
        '<g class="mark"><path d="M{:.1f} {}L{:.1f} {}V{}"/>'
        '<circle cx="{:.1f}" cy="{}" r="{}"/>{}</g>'
    )
    low_y = _MARK_Y + _MARK_RADIUS
    return Markup().join(
        shape.format(
            *(circle, low_y, x, low_y + 14, _BOTTOM, circle, _MARK_Y, _MARK_RADIUS),
            _text(circle, _MARK_Y + 4.5, str(rank), "middle"),
        )
        for (x, rank), circle in zip(marks, circles, strict=True)
    )


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, words
    )
