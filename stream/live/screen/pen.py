"""Letters, lines and hatching on a dark BGR picture; every size is in percent of its height.

Letters come from the scalable font that OpenCV carries; their capitals are 0.75 of the size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.report.wording import printable

Colour = tuple[int, int, int]
"""Blue, green, red, as OpenCV draws."""

CAPITAL = 0.75
_LONGEST_TEXT = 400
_SMALLEST_PX = 8


def colour_of(code: str) -> Colour:
    """Return the BGR colour of an RGB code such as ``#56b4e9``."""
    return int(code[5:7], 16), int(code[3:5], 16), int(code[1:3], 16)


BACK = colour_of("#0a0c0f")
GROUND = colour_of("#14181d")
RAIL = colour_of("#2b323a")
FAINT = colour_of("#66727e")
MUTED = colour_of("#a9b5c0")
INK = colour_of("#f4f7f9")
BLACK = colour_of("#000000")
FINDING = colour_of("#56b4e9")
ALARM = colour_of("#c4161c")
WARNING = colour_of("#ffb000")
NOTE = colour_of("#46566a")
RECORDING = colour_of("#ff5a52")


@dataclass(frozen=True, slots=True)
class Style:
    """How letters look: size in percent, colour, weight from 100 to 900 (400 is regular)."""

    size: float
    colour: Colour = INK
    weight: int = 400


class Pen:
    """Draws on pictures whose unit is `unit_px`, a hundredth of the height of the screen.

    Texts may come from anywhere: what cannot be printed is shown as an escape, what is too long is
    cut. Nothing is drawn outside the picture given, so a part never reaches into another one.
    """

    def __init__(self, unit_px: float) -> None:
        self._unit_px = unit_px
        self._face = cv2.FontFace("sans")

    def px(self, units: float) -> int:
        """Return a length in pixels, at least one."""
        return max(1, round(units * self._unit_px))

    def measure(self, text: str, style: Style) -> int:
        """Return the width of a text in pixels."""
        return self._measure(_shown(text), style)

    def fit(self, text: str, style: Style, width_px: int) -> str:
        """Shorten a text to `width_px` by an ellipsis."""
        text = _shown(text)
        if self._measure(text, style) <= width_px:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self._measure(f"{text[:middle]}…", style) <= width_px
            low, high = (middle, high) if fits else (low, middle - 1)
        return f"{text[:low].rstrip()}…"

    def wrap(self, text: str, style: Style, width_px: int, lines: int) -> list[str]:
        """Break a text at spaces into at most `lines` lines, each shortened if need be."""
        words, wrapped = _shown(text).split(), list[str]()
        while words and len(wrapped) < lines - 1:
            count = len(words)
            while count > 1 and self._measure(" ".join(words[:count]), style) > width_px:
                count -= 1
            wrapped.append(self.fit(" ".join(words[:count]), style, width_px))
            words = words[count:]
        return [*wrapped, self.fit(" ".join(words), style, width_px)] if words else wrapped

    def write(
        self, image_bgr: NDArray[np.uint8], text: str, at_px: tuple[int, int], style: Style
    ) -> None:
        """Write one line whose baseline starts at `at_px`."""
        shown = _shown(text)  # OpenCV 5.0 dies of an unpaired surrogate
        size = self._letter_px(style)
        cv2.putText(image_bgr, shown, at_px, style.colour, self._face, size, style.weight)

    def write_right(
        self, image_bgr: NDArray[np.uint8], text: str, at_px: tuple[int, int], style: Style
    ) -> None:
        """Write one line whose baseline ends at `at_px`."""
        self.write(image_bgr, text, (at_px[0] - self.measure(text, style), at_px[1]), style)

    def middle_px(self, top_px: int, bottom_px: int, style: Style) -> int:
        """Return the baseline that centres capitals between two heights."""
        return round((top_px + bottom_px + CAPITAL * self._letter_px(style)) / 2)

    def _measure(self, shown: str, style: Style) -> int:
        size = self._letter_px(style)
        box = cv2.getTextSize((1 << 20, 1 << 10), shown, (0, 0), self._face, size, style.weight)
        return int(box[2])

    def _letter_px(self, style: Style) -> int:
        return max(_SMALLEST_PX, round(style.size * self._unit_px))


def fill(image_bgr: NDArray[np.uint8], box_xyxy: tuple[int, int, int, int], colour: Colour) -> None:
    """Fill a box, as far as it lies in the picture."""
    left, top, right, bottom = (max(0, side) for side in box_xyxy)
    if left < right and top < bottom:
        cv2.rectangle(image_bgr, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)


def clear(view_bgr: NDArray[np.uint8], colour: Colour) -> None:
    """Fill a whole picture."""
    fill(view_bgr, (0, 0, view_bgr.shape[1], view_bgr.shape[0]), colour)


def frame(
    image_bgr: NDArray[np.uint8],
    box_xyxy: tuple[int, int, int, int],
    colour: Colour,
    width_px: int,
) -> None:
    """Draw the border of a box, inside it."""
    left, top, right, bottom = box_xyxy
    fill(image_bgr, (left, top, right, top + width_px), colour)
    fill(image_bgr, (left, bottom - width_px, right, bottom), colour)
    fill(image_bgr, (left, top, left + width_px, bottom), colour)
    fill(image_bgr, (right - width_px, top, right, bottom), colour)


def dash(
    image_bgr: NDArray[np.uint8],
    box_xyxy: tuple[int, int, int, int],
    colour: Colour,
    dash_px: int,
) -> None:
    """Fill a box that is thin one way with dashes along the other."""
    left, top, right, bottom = box_xyxy
    for start in range(left, right, 2 * dash_px) if right - left > bottom - top else ():
        fill(image_bgr, (start, top, min(start + dash_px, right), bottom), colour)
    for start in range(top, bottom, 2 * dash_px) if right - left <= bottom - top else ():
        fill(image_bgr, (left, start, right, min(start + dash_px, bottom)), colour)


def hatch(view_bgr: NDArray[np.uint8], colour: Colour, pitch_px: int) -> None:
    """Cover a picture with diagonal stripes, half of it stripe and half as it was."""
    height, width = view_bgr.shape[:2]
    view_bgr[_stripes(height, width, max(2, pitch_px))] = colour


@lru_cache(maxsize=16)
def _stripes(height: int, width: int, pitch_px: int) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[:height, :width]
    return np.asarray((rows + columns) % pitch_px < pitch_px // 2)


def _shown(text: str) -> str:
    return printable(text[:_LONGEST_TEXT])
