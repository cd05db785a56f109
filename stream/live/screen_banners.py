"""Banners over the top of the picture: what is wrong, large, and the cause beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.live.freshness import Banner
from stream.live.layout import Box
from stream.live.pen import ALARM, BACK, BLACK, INK, NOTE, WARNING, Colour, Pen, Style, clear, fill
from stream.live.scene import Scene

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


def draw_banners(view_bgr: NDArray[np.uint8], pen: Pen, banners: tuple[Banner, ...]) -> list[Box]:
    """Draw banners one below the other, from the top of the view down.

    Returns
    -------
    the box of each, in pixels of the view
    """
    boxes, top = list[Box](), 0
    for banner in banners:
        box = (0, top, view_bgr.shape[1], top + _height(view_bgr, pen, banner))
        fill(view_bgr, (0, box[3], box[2], box[3] + pen.px(_GAP)), BACK)
        _draw(view_bgr[top : box[3]], pen, banner)
        boxes.append(box)
        top = box[3] + pen.px(_GAP)
    return boxes


def _title_width(view_bgr: NDArray[np.uint8], pen: Pen, banner: Banner) -> int:
    room = int(view_bgr.shape[1]) - 2 * pen.px(_EDGE)
    return min(room, pen.measure(banner.title, Style(_TITLE_SIZE, weight=700)))


def _is_beside(view_bgr: NDArray[np.uint8], pen: Pen, banner: Banner) -> bool:
    left = int(view_bgr.shape[1]) - 3 * pen.px(_EDGE) - _title_width(view_bgr, pen, banner)
    cause = pen.measure(banner.cause, Style(_CAUSE_SIZE, weight=500))
    return left >= min(cause, pen.px(_ROOM_BESIDE))


def _height(view_bgr: NDArray[np.uint8], pen: Pen, banner: Banner) -> int:
    beside = not banner.cause or _is_beside(view_bgr, pen, banner)
    return pen.px(_HEIGHT if beside else _HEIGHT + _UNDER)


def _draw(row_bgr: NDArray[np.uint8], pen: Pen, banner: Banner) -> None:
    ground, ink = _LOOKS[banner.level]
    clear(row_bgr, ground)
    edge, title = pen.px(_EDGE), Style(_TITLE_SIZE, ink, 700)
    width, first = row_bgr.shape[1] - 2 * edge, pen.px(_HEIGHT)
    baseline = pen.middle_px(0, first, title)
    pen.write(row_bgr, pen.fit(banner.title, title, width), (edge, baseline), title)
    cause = Style(_CAUSE_SIZE, ink, 500)
    if not _is_beside(row_bgr, pen, banner):
        text = pen.fit(banner.cause, cause, width)
        pen.write(row_bgr, text, (edge, first + pen.px(_UNDER * 0.5)), cause)
        return
    start = edge + _title_width(row_bgr, pen, banner) + edge
    lines = pen.wrap(banner.cause, cause, row_bgr.shape[1] - start - edge, 2)
    pitch = pen.px(_CAUSE_SIZE * 1.2)
    top = (first - pitch * len(lines)) // 2
    for index, line in enumerate(lines):
        low = top + index * pitch
        pen.write(row_bgr, line, (start, pen.middle_px(low, low + pitch, cause)), cause)
