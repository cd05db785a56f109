"""The probability of the last seconds: a line with gaps, the threshold, pinned frames."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.live.layout import Box
from stream.live.pen import (
    BACK,
    FINDING,
    GROUND,
    INK,
    MUTED,
    RAIL,
    WARNING,
    Pen,
    Style,
    clear,
    dash,
    fill,
)
from stream.live.scene import STRIP_S, Strip

_TITLE, _SMALL, _THRESHOLD = Style(2.6, MUTED, 500), Style(2.4, MUTED), Style(2.4, INK)
_HEAD, _FOOT, _LEFT, _RIGHT = 3.8, 3.6, 2.0, 6.2
_SUBPIXEL_BITS = 4
_BREAK_S = 1.0
_COLUMN_PX = 3


def draw_strip_frame(
    view_bgr: NDArray[np.uint8], pen: Pen, finding: str, threshold: float | None
) -> None:
    """Draw what stays around the plot: its title, its ends, the threshold's number.

    Parameters
    ----------
    view_bgr : shape (H, W, 3), uint8, overwritten
    finding, threshold : the class and its operating point, empty and None while unknown
    """
    clear(view_bgr, GROUND)
    left, top, right, bottom = plot = _plot(view_bgr, pen)
    name = f" of {finding}" if finding else ""
    title = pen.fit(f"HISTORY · probability{name}", _TITLE, right - left)
    pen.write(view_bgr, title, (left, pen.middle_px(0, top, _TITLE)), _TITLE)
    low = view_bgr.shape[0] - pen.px(1.0)
    pen.write(view_bgr, f"{STRIP_S:.0f} s ago", (left, low), _SMALL)
    pen.write_right(view_bgr, "now", (right, low), _SMALL)
    beside, shift = right + pen.px(0.8), pen.px(0.9)
    y = None if threshold is None else _y(threshold, plot) + shift
    if y is not None:
        pen.write(view_bgr, f"{threshold:.2f}", (beside, y), _THRESHOLD)
    for end, baseline in (("1", top + pen.px(1.8)), ("0", bottom)):
        if y is None or abs(y - baseline) > pen.px(2.4):
            pen.write(view_bgr, end, (beside, baseline), _SMALL)


def draw_strip(
    view_bgr: NDArray[np.uint8], pen: Pen, strip: Strip, threshold: float | None
) -> None:
    """Draw the last `STRIP_S` seconds into the plot, now at the right edge.

    Parameters
    ----------
    view_bgr : shape (H, W, 3), uint8, as `draw_strip_frame` left it
    """
    left, top, right, bottom = plot = _plot(view_bgr, pen)
    fill(view_bgr, plot, BACK)
    for second in (10.0, 20.0):
        x = right - round(second / STRIP_S * (right - left))
        fill(view_bgr, (x, top, x + 1, bottom), RAIL)
    if threshold is not None:
        y = _y(threshold, plot)
        dash(view_bgr, (left, y, right, y + pen.px(0.2)), INK, pen.px(1.0))
    _draw_pins(view_bgr[top:bottom, left:right], pen, strip)
    for line in _runs(strip, plot):
        _draw_line(view_bgr[top:bottom, left:right], line, pen.px(0.35))


def _plot(view_bgr: NDArray[np.uint8], pen: Pen) -> Box:
    height, width = view_bgr.shape[:2]
    left, top = pen.px(_LEFT), pen.px(_HEAD)
    right, bottom = width - pen.px(_RIGHT), height - pen.px(_FOOT)
    return left, top, max(left + 2, right), max(top + 2, bottom)


def _draw_pins(plot_bgr: NDArray[np.uint8], pen: Pen, strip: Strip) -> None:
    height, width = plot_bgr.shape[:2]
    half = pen.px(0.9)
    for age_s in strip.pinned_age_s:
        if 0 <= age_s <= STRIP_S:
            x = width - 1 - round(age_s / STRIP_S * (width - 1))
            fill(plot_bgr, (x, 0, x + pen.px(0.2), height), WARNING)
            corners = [(x - half, 0), (x + half, 0), (x, 2 * half)]
            cv2.fillPoly(plot_bgr, [np.array(corners, np.int32)], WARNING, cv2.LINE_AA)


def _runs(strip: Strip, plot: Box) -> list[NDArray[np.float64]]:
    """Return the points (n, 2) of each stretch without a gap, in pixels of the plot."""
    seen = (strip.age_s >= 0) & (strip.age_s <= STRIP_S)
    age_s, value = strip.age_s[seen], strip.value[seen].astype(np.float64)
    left, top, right, bottom = plot
    points = np.empty((age_s.size, 2))
    points[:, 0] = (1 - age_s / STRIP_S) * (right - 1 - left)
    points[:, 1] = (1 - np.clip(value, 0, 1)) * (bottom - 1 - top)
    known = np.isfinite(value)
    ends = np.flatnonzero(np.diff(known) | (-np.diff(age_s) > _BREAK_S)) + 1
    parts = zip(np.split(points, ends), np.split(known, ends), strict=True)
    return [_thin(part) for part, good in parts if good.size and good[0]]


def _thin(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep the least and greatest point of every few columns: lines cost by their points."""
    columns = (points[:, 0] / _COLUMN_PX).astype(np.int64)
    starts = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
    if 2 * len(starts) >= len(points):
        return points
    thin = np.repeat(points[starts], 2, axis=0)
    thin[0::2, 1] = np.minimum.reduceat(points[:, 1], starts)
    thin[1::2, 1] = np.maximum.reduceat(points[:, 1], starts)
    return np.concatenate((points[:1], thin, points[-1:]))


def _draw_line(view_bgr: NDArray[np.uint8], points: NDArray[np.float64], width_px: int) -> None:
    if len(points) == 1:
        centre = (round(points[0, 0]), round(points[0, 1]))
        cv2.circle(view_bgr, centre, width_px, FINDING, cv2.FILLED, cv2.LINE_AA)
        return
    fixed = np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(view_bgr, [fixed], False, FINDING, width_px, cv2.LINE_AA, _SUBPIXEL_BITS)


def _y(value: float, plot: Box) -> int:
    return plot[3] - 1 - round(value * (plot[3] - 1 - plot[1]))
