"""The probability of the last seconds: a line with gaps, the threshold, pinned frames."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.live.screen.layout import Box
from stream.live.screen.pen import (
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
from stream.live.screen.scene import STRIP_S, Strip

_TITLE, _SMALL, _THRESHOLD = Style(2.6, MUTED, 500), Style(2.4, MUTED), Style(2.4, INK)
_HEAD, _FOOT, _LEFT, _RIGHT = 3.8, 3.6, 2.0, 6.2
_SUBPIXEL_BITS = 4
_BREAK_S = 1.0
_COLUMN_PX = 3


def draw_strip_frame(
    view_bgr: NDArray[np.uint8], pen: Pen, finding: str, threshold: float | None
) -> NDArray[np.uint8]:
    """Draw what does not move: title, ends of the axes, threshold.

    Parameters
    ----------
    view_bgr : shape (H, W, 3), uint8, overwritten
    finding, threshold : the class and its operating point, empty and None while unknown

    Returns
    -------
    shape (h, w, 3), uint8: the empty plot
    """
    clear(view_bgr, GROUND)
    left, top, right, bottom = plot = _plot(view_bgr, pen)
    name = f" of {finding}" if finding else ""
    title = pen.fit(f"HISTORY · probability{name}", _TITLE, right - left)
    pen.write(view_bgr, title, (left, pen.middle_px(0, top, _TITLE)), _TITLE)
    low = view_bgr.shape[0] - pen.px(1.0)
    pen.write(view_bgr, f"{STRIP_S:.0f} s ago", (left, low), _SMALL)
    pen.write_right(view_bgr, "now", (right, low), _SMALL)
    fill(view_bgr, plot, BACK)
    for second in (10.0, 20.0):
        x = right - round(second / STRIP_S * (right - left))
        fill(view_bgr, (x, top, x + 1, bottom), RAIL)
    _draw_scale(view_bgr, pen, plot, threshold)
    return view_bgr[top:bottom, left:right].copy()


def draw_strip(
    view_bgr: NDArray[np.uint8], pen: Pen, strip: Strip, empty_bgr: NDArray[np.uint8]
) -> None:
    """Draw the last `STRIP_S` seconds into the plot, now at the right edge.

    Parameters
    ----------
    view_bgr : shape (H, W, 3), uint8, as `draw_strip_frame` left it
    empty_bgr : the empty plot
    """
    left, top, right, bottom = _plot(view_bgr, pen)
    plot_bgr = view_bgr[top:bottom, left:right]
    plot_bgr[:] = empty_bgr
    _draw_pins(plot_bgr, pen, strip)
    for line in _runs(strip, (right - left, bottom - top)):
        _draw_line(plot_bgr, line, pen.px(0.35))


def _draw_scale(view_bgr: NDArray[np.uint8], pen: Pen, plot: Box, threshold: float | None) -> None:
    """Number the axis: 0, 1 and the threshold, whose line crosses the plot."""
    left, top, right, bottom = plot
    beside, taken = right + pen.px(0.8), list[int]()
    if threshold is not None:
        y = bottom - 1 - round(threshold * (bottom - 1 - top))
        dash(view_bgr, (left, y, right, y + pen.px(0.2)), INK, pen.px(1.0))
        taken.append(y + pen.px(0.9))
        pen.write(view_bgr, f"{threshold:.2f}", (beside, taken[0]), _THRESHOLD)
    for end, baseline in (("1", top + pen.px(1.8)), ("0", bottom)):
        if all(abs(other - baseline) > pen.px(2.4) for other in taken):
            pen.write(view_bgr, end, (beside, baseline), _SMALL)


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


def _runs(strip: Strip, size_wh: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Return the points (n, 2) of each stretch without a gap, in pixels of the plot."""
    seen = (strip.age_s >= 0) & (strip.age_s <= STRIP_S)
    age_s, value = strip.age_s[seen], strip.value[seen].astype(np.float64)
    points = np.empty((age_s.size, 2))
    points[:, 0] = (1 - age_s / STRIP_S) * (size_wh[0] - 1)
    points[:, 1] = (1 - np.clip(value, 0, 1)) * (size_wh[1] - 1)
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
