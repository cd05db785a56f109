"""The list of keys over the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.live.screen.keys_map import KEYS, KeyHelp
from stream.live.screen.pen import FAINT, GROUND, INK, MUTED, RAIL, Pen, Style, clear, fill, frame

_TITLE, _CAP, _LINE = Style(3.6, INK, 650), Style(3.0, INK, 600), Style(3.0, MUTED)
_WIDTH, _ROW, _HEAD, _EDGE, _CAP_WIDTH = 100.0, 6.0, 7.0, 3.0, 10.0
_COLUMNS = 2


def draw_help(view_bgr: NDArray[np.uint8], pen: Pen) -> None:
    """Draw the list at the foot of the view, so that banners at its top stay readable."""
    rows = -(-len(KEYS) // _COLUMNS)
    height = min(view_bgr.shape[0], pen.px(_HEAD + rows * _ROW + 1.5))
    width = min(view_bgr.shape[1], pen.px(_WIDTH))
    left, top = (view_bgr.shape[1] - width) // 2, view_bgr.shape[0] - height - pen.px(1)
    box_bgr = view_bgr[max(0, top) : max(0, top) + height, left : left + width]
    clear(box_bgr, GROUND)
    frame(box_bgr, (0, 0, width, box_bgr.shape[0]), FAINT, pen.px(0.25))
    pen.write(box_bgr, "Keys", (pen.px(_EDGE), pen.px(5.2)), _TITLE)
    column = (width - 2 * pen.px(_EDGE)) // _COLUMNS
    for index, key in enumerate(KEYS):
        x = pen.px(_EDGE) + index // rows * column
        y = pen.px(_HEAD) + index % rows * pen.px(_ROW)
        _draw_row(box_bgr[y : y + pen.px(_ROW), x : x + column], pen, key)


def _draw_row(row_bgr: NDArray[np.uint8], pen: Pen, key: KeyHelp) -> None:
    wide, tall = pen.px(_CAP_WIDTH), pen.px(4.8)
    fill(row_bgr, (0, 0, wide, tall), RAIL)
    middle = pen.middle_px(0, tall, _CAP)
    pen.write(row_bgr, key.cap, ((wide - pen.measure(key.cap, _CAP)) // 2, middle), _CAP)
    room = row_bgr.shape[1] - wide - pen.px(2)
    pen.write(row_bgr, pen.fit(key.help, _LINE, room), (wide + pen.px(1.5), middle), _LINE)
