"""The film strip: the key frames of the session so far, with when and how likely."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.live.screen.pen import BACK, BLACK, GROUND, INK, MUTED, WARNING, Pen, Style, clear, fill
from stream.live.screen.picture import inner_box
from stream.live.screen.scene import Key

MOST_KEYS = 5
_TITLE, _CLOCK, _VALUE = Style(2.6, MUTED, 500), Style(2.5, MUTED), Style(2.6, INK, 600)
_NARROW_CLOCK, _PIN = Style(1.9, MUTED), Style(2.2, BLACK, 600)
_HEAD, _FOOT, _GAP, _EDGE = 3.8, 6.3, 1.0, 2.0


def draw_keys(view_bgr: NDArray[np.uint8], pen: Pen, keys: tuple[Key, ...]) -> None:
    """Draw up to `MOST_KEYS` key frames from left to right, marked as history.

    Parameters
    ----------
    view_bgr : shape (H, W, 3), uint8, overwritten
    """
    clear(view_bgr, GROUND)
    edge, head = pen.px(_EDGE), pen.px(_HEAD)
    baseline = pen.middle_px(0, head, _TITLE)
    pen.write(view_bgr, "HISTORY · key frames", (edge, baseline), _TITLE)
    if not keys:
        pen.write(view_bgr, "none yet", (edge, head + pen.px(4)), _CLOCK)
    gap = pen.px(_GAP)
    pitch = (view_bgr.shape[1] - 2 * edge + gap) // MOST_KEYS
    for index, key in enumerate(keys[:MOST_KEYS]):
        left = edge + index * pitch
        _draw_key(view_bgr[head:, left : left + pitch - gap], pen, key)


def _draw_key(cell_bgr: NDArray[np.uint8], pen: Pen, key: Key) -> None:
    height, width = cell_bgr.shape[:2]
    room_bgr = cell_bgr[: height - pen.px(_FOOT)]
    clear(room_bgr, BACK)
    left, top, right, bottom = inner_box(key.image.shape[:2], room_bgr.shape[:2])
    small = cv2.resize(key.image, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    cv2.cvtColor(small, cv2.COLOR_RGB2BGR, dst=room_bgr[top:bottom, left:right])
    if key.pinned:
        tall, wide = pen.px(2.8), pen.measure("pinned", _PIN) + pen.px(1.2)
        fill(room_bgr, (0, 0, wide, tall), WARNING)
        pen.write(room_bgr, "pinned", (pen.px(0.6), pen.middle_px(0, tall, _PIN)), _PIN)
    style = _CLOCK if pen.measure(key.clock, _CLOCK) <= width else _NARROW_CLOCK
    clock = pen.fit(key.clock, style, width)
    pen.write(cell_bgr, clock, (0, height - pen.px(_FOOT - 2.6)), style)
    pen.write(cell_bgr, f"{key.probability:.2f}", (0, height - pen.px(0.9)), _VALUE)
