"""Banners over the top of the picture: what is wrong, large, and the cause beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.live.screen.layout import Box
from stream.live.screen.pen import ALARM, BACK, BLACK, INK, NOTE, WARNING, Colour, Pen, Style, clear
from stream.live.screen.scene import Scene
from stream.live.viewer.freshness import Banner

MOST_BANNERS = 3
_LOOKS: dict[str, tuple[Colour, Colour]] = {
    "alarm": (ALARM, INK),
    "warning": (WARNING, BLACK),
    "note": (NOTE, INK),
}
_TITLE_SIZE, _CAUSE_SIZE = 6.8, 3.1
_HEIGHT, _UNDER, _GAP, _EDGE, _ROOM_BESIDE = 9.2, 4.4, 0.4, 2.0, 30.0


def banners_of(scene: Scene) -> tuple[Banner, ...]:
    """Return at most `MOST_BANNERS`; one that says the picture is of the past is always there."""
    if not scene.frozen:
        return scene.banners[:MOST_BANNERS]
    frozen = Banner(f"FROZEN {scene.frozen}", "press space to go on", "note")
    alarms = [banner for banner in scene.banners if banner.level == "alarm"][: MOST_BANNERS - 1]
    rest = [banner for banner in scene.banners if banner.level != "alarm"]
    return (*alarms, frozen, *rest)[:MOST_BANNERS]


def draw_banners(
    width_px: int, pen: Pen, banners: tuple[Banner, ...]
) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
    """Draw banners one below the other.

    Returns
    -------
    image_bgr : shape (h, `width_px`, 3), uint8, no higher than they need
    boxes : of each, in its pixels
    """
    rows, boxes, top = list[NDArray[np.uint8]](), list[Box](), 0
    for banner in banners:
        height = _height(width_px, pen, banner)
        row_bgr = np.empty((height + pen.px(_GAP), width_px, 3), np.uint8)
        clear(row_bgr, BACK)
        _draw(row_bgr[:height], pen, banner)
        rows.append(row_bgr)
        boxes.append((0, top, width_px, top + height))
        top += row_bgr.shape[0]
    return np.vstack(rows) if rows else np.empty((0, width_px, 3), np.uint8), tuple(boxes)


def _title_width(width_px: int, pen: Pen, banner: Banner) -> int:
    room = width_px - 2 * pen.px(_EDGE)
    return min(room, pen.measure(banner.title, Style(_TITLE_SIZE, weight=700)))


def _is_beside(width_px: int, pen: Pen, banner: Banner) -> bool:
    left = width_px - 3 * pen.px(_EDGE) - _title_width(width_px, pen, banner)
    cause = pen.measure(banner.cause, Style(_CAUSE_SIZE, weight=500))
    return left >= min(cause, pen.px(_ROOM_BESIDE))


def _height(width_px: int, pen: Pen, banner: Banner) -> int:
    beside = not banner.cause or _is_beside(width_px, pen, banner)
    return pen.px(_HEIGHT if beside else _HEIGHT + _UNDER)


def _draw(row_bgr: NDArray[np.uint8], pen: Pen, banner: Banner) -> None:
    ground, ink = _LOOKS[banner.level]
    clear(row_bgr, ground)
    edge, title = pen.px(_EDGE), Style(_TITLE_SIZE, ink, 700)
    width, first = row_bgr.shape[1] - 2 * edge, pen.px(_HEIGHT)
    baseline = pen.middle_px(0, first, title)
    pen.write(row_bgr, pen.fit(banner.title, title, width), (edge, baseline), title)
    cause = Style(_CAUSE_SIZE, ink, 500)
    if not _is_beside(row_bgr.shape[1], pen, banner):
        text = pen.fit(banner.cause, cause, width)
        pen.write(row_bgr, text, (edge, first + pen.px(_UNDER * 0.5)), cause)
        return
    start = edge + _title_width(row_bgr.shape[1], pen, banner) + edge
    lines = pen.wrap(banner.cause, cause, row_bgr.shape[1] - start - edge, 2)
    pitch = pen.px(_CAUSE_SIZE * 1.2)
    top = (first - pitch * len(lines)) // 2
    for index, line in enumerate(lines):
        low = top + index * pitch
        pen.write(row_bgr, line, (start, pen.middle_px(low, low + pitch, cause)), cause)
