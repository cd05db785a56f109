"""The column's upper and lower end: time, source, live mark; measured facts; what this is not."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.live.screen.pen import (
    FAINT,
    GROUND,
    INK,
    MUTED,
    RAIL,
    RECORDING,
    Pen,
    Style,
    clear,
    fill,
)
from stream.live.screen.scene import Scene
from stream.report.wording import NOT_A_DEVICE

MARK_STEPS = 24
"""Frames in one turn of the live mark."""

_CLOCK, _SOURCE = Style(4.2, INK, 500), Style(2.7, MUTED)
_NAME, _VALUE = Style(2.8, MUTED), Style(2.8, INK, 500)
_FOOT, _RECORD = Style(2.4, MUTED), Style(2.7, RECORDING, 700)
_EDGE, _PITCH, _MARK, _MARK_LINE = 2.0, 3.6, 1.9, 4.5
_SUBPIXEL_BITS = 4


def mark_box(view_bgr: NDArray[np.uint8], pen: Pen) -> tuple[int, int, int, int]:
    """Return the place of the live mark in the header, in pixels of its view."""
    right, middle, half = view_bgr.shape[1] - pen.px(_EDGE), pen.px(_MARK_LINE), pen.px(_MARK + 0.4)
    return right - 2 * half, middle - half, right, middle + half


def draw_header(view_bgr: NDArray[np.uint8], pen: Pen, scene: Scene) -> None:
    """Draw wall time, recording dot and the source's name; the live mark is drawn apart."""
    clear(view_bgr, GROUND)
    left, right = pen.px(_EDGE), view_bgr.shape[1] - pen.px(_EDGE)
    first = pen.px(6.0)
    end = mark_box(view_bgr, pen)[0] - pen.px(1.4)
    if scene.recording:
        pen.write_right(view_bgr, "REC", (end, first), _RECORD)
        end -= pen.measure("REC", _RECORD) + pen.px(1.7)
        middle = (end, first - pen.px(1.0))
        cv2.circle(view_bgr, middle, pen.px(1.0), RECORDING, cv2.FILLED, cv2.LINE_AA)
        end -= pen.px(2)
    pen.write(view_bgr, pen.fit(scene.clock, _CLOCK, end - left), (left, first), _CLOCK)
    source = pen.fit(scene.source, _SOURCE, right - left)
    pen.write(view_bgr, source, (left, pen.px(10.2)), _SOURCE)


def draw_hud(view_bgr: NDArray[np.uint8], pen: Pen, hud: tuple[tuple[str, str], ...]) -> None:
    """Draw measured facts, a name at the left and its value at the right of each line."""
    clear(view_bgr, GROUND)
    left, right = pen.px(_EDGE), view_bgr.shape[1] - pen.px(_EDGE)
    fill(view_bgr, (left, 0, right, pen.px(0.2)), RAIL)
    room = max(1, int((view_bgr.shape[0] - pen.px(1.2)) / pen.px(_PITCH)))
    lines = hud
    if len(hud) > room:
        lines = (*hud[: room - 1], (f"and {len(hud) - room + 1} more", ""))
    for index, (name, value) in enumerate(lines):
        baseline = pen.px(0.9) + (index + 1) * pen.px(_PITCH)
        value = pen.fit(value, _VALUE, (right - left) * 2 // 3)
        pen.write_right(view_bgr, value, (right, baseline), _VALUE)
        room_px = right - left - pen.measure(value, _VALUE) - pen.px(1.5)
        pen.write(view_bgr, pen.fit(name, _NAME, room_px), (left, baseline), _NAME)


def draw_footer(view_bgr: NDArray[np.uint8], pen: Pen) -> None:
    """Draw what this is not, and which key lists the keys."""
    clear(view_bgr, GROUND)
    left, right = pen.px(_EDGE), view_bgr.shape[1] - pen.px(_EDGE)
    baseline = view_bgr.shape[0] - pen.px(1.3)
    pen.write(view_bgr, NOT_A_DEVICE, (left, baseline), _FOOT)
    if right - left - pen.measure(NOT_A_DEVICE, _FOOT) > pen.px(8):
        pen.write_right(view_bgr, "? keys", (right, baseline), _FOOT)


def draw_mark(box_bgr: NDArray[np.uint8], pen: Pen, tick: int) -> None:
    """Draw a dial whose hand makes a step with each new frame, so a still one is seen."""
    clear(box_bgr, GROUND)
    centre, radius = box_bgr.shape[0] // 2, pen.px(_MARK)
    angle = 2 * math.pi * (tick % MARK_STEPS) / MARK_STEPS
    cv2.circle(box_bgr, (centre, centre), radius, FAINT, pen.px(0.3), cv2.LINE_AA)
    start, reach = centre << _SUBPIXEL_BITS, 0.85 * (radius << _SUBPIXEL_BITS)
    end = (round(start + reach * math.sin(angle)), round(start - reach * math.cos(angle)))
    cv2.line(box_bgr, (start, start), end, INK, pen.px(0.6), cv2.LINE_AA, _SUBPIXEL_BITS)
