"""The panel of the current result: label, probability, bar; or that there is none."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.live.screen.pen import (
    BLACK,
    FAINT,
    FINDING,
    GROUND,
    INK,
    MUTED,
    RAIL,
    Pen,
    Style,
    clear,
    fill,
    frame,
    hatch,
)
from stream.live.screen.reading import WITHDRAWN, Reading
from stream.report.overlay import draw_colour_bar

_LABEL_SIZES, _LABEL_LINES, _LINE_PITCH = (9.0, 7.6, 6.7, 5.9, 5.2, 4.7), 2, 1.15
_WITHDRAWN = Style(5.4, MUTED, 500)
_NUMBER, _NARROW_NUMBER = Style(9.0, INK, 650), Style(7.2, INK, 650)
_CAPTION, _FINDING, _SMALL = Style(2.9, MUTED), Style(2.9, INK, 600), Style(2.7, MUTED)
_CAPTION_WORDS = "probability of"
_EDGE, _PLATE, _CARET = 2.0, 16.0, 1.3
_NUMBER_LINE, _BAR_TOP, _BAR_HEIGHT = 25.8, 29.5, 4.8
_WORDS_LINE, _LEGEND_LINE, _HEAT_LINE = 37.8, 41.6, 45.6


def draw_panel(
    view_bgr: NDArray[np.uint8], pen: Pen, reading: Reading | None, *, heat: bool
) -> None:
    """Draw the label and all words; without a result, nothing but the words that say so.

    Parameters
    ----------
    view_bgr : shape (H, W, 3), uint8, overwritten
    reading : None when there is no current result
    heat : the heat map is drawn, so its scale is shown
    """
    clear(view_bgr, GROUND)
    edge = pen.px(_EDGE)
    plate_bgr = view_bgr[: pen.px(_PLATE), edge : view_bgr.shape[1] - edge]
    if reading is None:
        _draw_withdrawn(plate_bgr, pen)
        return
    _draw_label(plate_bgr, pen, reading)
    _draw_caption(view_bgr, pen, reading.finding)
    _draw_bar_words(view_bgr, pen, reading.threshold)
    _draw_legend(view_bgr, pen)
    if heat:
        _draw_heat_scale(view_bgr, pen)


def draw_score(view_bgr: NDArray[np.uint8], pen: Pen, reading: Reading) -> None:
    """Draw the probability as number and bar into the panel that `draw_panel` left.

    The bar stands on a rail with the uncertain band and the threshold; a caret marks the newest
    frame alone.
    """
    left, right = pen.px(_EDGE), view_bgr.shape[1] - pen.px(_EDGE)
    baseline = pen.px(_NUMBER_LINE)
    number = _number_style(view_bgr, pen)
    high, low = baseline - pen.px(number.size * 0.85), baseline + pen.px(1.2)
    fill(view_bgr, (left, high, left + pen.measure("0.00", number), low), GROUND)
    pen.write(view_bgr, f"{reading.probability:.2f}", (left, baseline), number)
    top, bottom = pen.px(_BAR_TOP), pen.px(_BAR_TOP + _BAR_HEIGHT)
    above = top - pen.px(_CARET) - 2  # smooth edges reach a little beyond their shape
    fill(view_bgr, (0, above, view_bgr.shape[1], bottom + pen.px(1.0)), GROUND)
    fill(view_bgr, (left, top, right, bottom), RAIL)
    from_px, to_px = (_bar_px(view_bgr, pen, side) for side in reading.band)
    hatch(view_bgr[top:bottom, from_px:to_px], FAINT, pen.px(1.3))
    colour = FINDING if reading.kind == "finding" else MUTED
    inset, end = pen.px(1.3), _bar_px(view_bgr, pen, reading.probability)
    fill(view_bgr, (left, top + inset, end, bottom - inset), colour)
    _draw_caret(view_bgr, pen, _bar_px(view_bgr, pen, reading.newest), top)
    threshold, half = _bar_px(view_bgr, pen, reading.threshold), pen.px(0.25)
    fill(view_bgr, (threshold - half, top, threshold + half, bottom + pen.px(0.8)), INK)


def _draw_withdrawn(plate_bgr: NDArray[np.uint8], pen: Pen) -> None:
    frame(plate_bgr, (0, 0, plate_bgr.shape[1], plate_bgr.shape[0]), RAIL, pen.px(0.4))
    _write_centred(plate_bgr, pen, WITHDRAWN, _WITHDRAWN)


def _draw_label(plate_bgr: NDArray[np.uint8], pen: Pen, reading: Reading) -> None:
    """Letter the label: the finding on a filled plate, others framed, uncertain on hatching."""
    height, width = plate_bgr.shape[:2]
    rim, line = pen.px(0.5), pen.px(0.5)
    if reading.kind == "finding":
        clear(plate_bgr, FINDING)
    elif reading.kind == "other":
        frame(plate_bgr, (0, 0, width, height), INK, line)
    else:
        rim = pen.px(2.0)
        hatch(plate_bgr, MUTED, pen.px(2.0))
        fill(plate_bgr, (rim, rim, width - rim, height - rim), GROUND)
    weight = 600 if reading.kind == "uncertain" else 650
    inner_bgr = plate_bgr[:, rim + line : width - rim - line]
    _write_centred(inner_bgr, pen, reading.label, _label_style(inner_bgr, pen, reading, weight))


def _label_style(inner_bgr: NDArray[np.uint8], pen: Pen, reading: Reading, weight: int) -> Style:
    """Return the largest letters in which the whole label fits, else the smallest."""
    height, width = inner_bgr.shape[:2]
    colour = BLACK if reading.kind == "finding" else INK
    for size in _LABEL_SIZES:
        style = Style(size, colour, weight)
        lines = pen.wrap(reading.label, style, width, _LABEL_LINES)
        cut = any(line.endswith("…") for line in lines)
        if not cut and pen.px(size * _LINE_PITCH) * len(lines) <= height:
            break
    return style


def _write_centred(plate_bgr: NDArray[np.uint8], pen: Pen, text: str, style: Style) -> None:
    height, width = plate_bgr.shape[:2]
    lines = pen.wrap(text, style, width, _LABEL_LINES)
    pitch = pen.px(style.size * _LINE_PITCH)
    top = (height - pitch * len(lines)) // 2
    for index, line in enumerate(lines):
        left = (width - pen.measure(line, style)) // 2
        baseline = pen.middle_px(top + index * pitch, top + (index + 1) * pitch, style)
        pen.write(plate_bgr, line, (left, baseline), style)


def _number_style(view_bgr: NDArray[np.uint8], pen: Pen) -> Style:
    """Return the letters of the number: smaller where its caption would not fit beside it."""
    room = view_bgr.shape[1] - 2 * pen.px(_EDGE) - pen.px(1.8) - pen.measure("0.00", _NUMBER)
    return _NUMBER if room >= pen.measure(_CAPTION_WORDS, _CAPTION) else _NARROW_NUMBER


def _draw_caption(view_bgr: NDArray[np.uint8], pen: Pen, finding: str) -> None:
    """Say beside the number what it is the probability of."""
    left, baseline = pen.px(_EDGE), pen.px(_NUMBER_LINE)
    beside = left + pen.measure("0.00", _number_style(view_bgr, pen)) + pen.px(1.8)
    room = view_bgr.shape[1] - beside - left
    words = pen.fit(_CAPTION_WORDS, _CAPTION, room)
    pen.write(view_bgr, words, (beside, baseline - pen.px(3.6)), _CAPTION)
    pen.write(view_bgr, pen.fit(finding, _FINDING, room), (beside, baseline), _FINDING)


def _bar_px(view_bgr: NDArray[np.uint8], pen: Pen, probability: float) -> int:
    left, right = pen.px(_EDGE), int(view_bgr.shape[1]) - pen.px(_EDGE)
    return left + round(min(max(probability, 0.0), 1.0) * (right - left))


def _draw_bar_words(view_bgr: NDArray[np.uint8], pen: Pen, threshold: float) -> None:
    left, right = pen.px(_EDGE), view_bgr.shape[1] - pen.px(_EDGE)
    threshold_px = _bar_px(view_bgr, pen, threshold)
    baseline = pen.px(_WORDS_LINE)
    words = f"threshold {threshold:.2f}"
    width = pen.measure(words, _SMALL)
    start = min(max(threshold_px - width // 2, left), right - width)
    pen.write(view_bgr, words, (start, baseline), _SMALL)
    if start - left > pen.px(3):
        pen.write(view_bgr, "0", (left, baseline), _SMALL)
    if right - start - width > pen.px(3):
        pen.write_right(view_bgr, "1", (right, baseline), _SMALL)


def _draw_legend(view_bgr: NDArray[np.uint8], pen: Pen) -> None:
    """Say what the hatching and the caret mean."""
    left, baseline, tall = pen.px(_EDGE), pen.px(_LEGEND_LINE), pen.px(2.0)
    swatch_bgr = view_bgr[baseline - tall : baseline, left : left + pen.px(2.6)]
    clear(swatch_bgr, RAIL)
    hatch(swatch_bgr, FAINT, pen.px(1.3))
    left += pen.px(3.4)
    pen.write(view_bgr, "uncertain", (left, baseline), _SMALL)
    left += pen.measure("uncertain", _SMALL) + pen.px(3.2)
    _draw_caret(view_bgr, pen, left, baseline - pen.px(0.3))
    left += pen.px(1.7)
    words = pen.fit("newest frame", _SMALL, view_bgr.shape[1] - left - pen.px(1))
    pen.write(view_bgr, words, (left, baseline), _SMALL)


def _draw_caret(view_bgr: NDArray[np.uint8], pen: Pen, x_px: int, bottom_px: int) -> None:
    """Point down at the probability of the newest frame alone."""
    half, tall = pen.px(0.9), pen.px(_CARET)
    corners = [(x_px - half, bottom_px - tall), (x_px + half, bottom_px - tall), (x_px, bottom_px)]
    cv2.fillPoly(view_bgr, [np.array(corners, np.int32)], INK, cv2.LINE_AA)


def _draw_heat_scale(view_bgr: NDArray[np.uint8], pen: Pen) -> None:
    left, right = pen.px(_EDGE), view_bgr.shape[1] - pen.px(_EDGE)
    baseline = pen.px(_HEAT_LINE)
    pen.write(view_bgr, "heat map", (left, baseline), _SMALL)
    start, end = left + pen.measure("heat map 0", _SMALL) + pen.px(1), right - pen.px(2.6)
    pen.write_right(view_bgr, "0", (start - pen.px(0.8), baseline), _SMALL)
    pen.write_right(view_bgr, "1", (right, baseline), _SMALL)
    top, bottom = baseline - pen.px(2.1), baseline + pen.px(0.3)
    if end > start:
        scale = draw_colour_bar((end - start, bottom - top))
        cv2.cvtColor(scale, cv2.COLOR_RGB2BGR, dst=view_bgr[top:bottom, start:end])
