"""A white sheet in millimetres for print: lettering that never overflows, pictures, bars, PNG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.png import encode_png
from stream.report.wording import printable

Colour = tuple[int, int, int]
INK: Colour = (22, 32, 42)
MUTED: Colour = (81, 96, 109)
RAIL: Colour = (228, 233, 238)
ACCENT: Colour = (10, 106, 134)

DPI = 600
_MM_PER_INCH = 25.4


@dataclass(frozen=True, slots=True)
class Style:
    """How letters look: height in mm, weight from 100 to 900 (400 is regular), colour."""

    size_mm: float
    weight: int = 400
    colour: Colour = INK


class Sheet:
    """A white RGB canvas; every place and size is in millimetres from the top left.

    Letters are drawn with the scalable font that OpenCV carries, so no font file is needed.
    """

    def __init__(self, size_mm: tuple[float, float], dpi: int = DPI) -> None:
        self._px_per_mm = dpi / _MM_PER_INCH
        width, height = self._px(size_mm[0]), self._px(size_mm[1])
        self._canvas: NDArray[np.uint8] = np.full((height, width, 3), 255, np.uint8)
        self._face = cv2.FontFace("sans")

    @property
    def picture(self) -> NDArray[np.uint8]:
        """What is drawn, shape (H, W, 3), RGB."""
        return self._canvas

    def measure(self, text: str, style: Style) -> float:
        """Return the width of a text in mm."""
        shown, size = printable(text), self._px(style.size_mm)
        box = cv2.getTextSize((1 << 20, 1 << 10), shown, (0, 0), self._face, size, style.weight)
        return float(box[2]) / self._px_per_mm

    def fit(self, text: str, style: Style, width_mm: float, *, keep_end: int = 0) -> str:
        """Shorten a text to `width_mm` by an ellipsis before its last `keep_end` characters."""
        text = printable(text)
        if self.measure(text, style) <= width_mm:
            return text
        end = text[len(text) - keep_end :] if keep_end else ""
        low, high = 0, len(text) - len(end)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.measure(f"{text[:middle]}…{end}", style) <= width_mm
            low, high = (middle, high) if fits else (low, middle - 1)
        return f"{text[:low].rstrip()}…{end}"

    def wrap(self, text: str, style: Style, width_mm: float, lines: int) -> list[str]:
        """Break a text at spaces into at most `lines` lines, the last one shortened if need be."""
        words, wrapped = printable(text).split(), list[str]()
        while words and len(wrapped) < lines - 1:
            count = len(words)
            while count > 1 and self.measure(" ".join(words[:count]), style) > width_mm:
                count -= 1
            wrapped.append(self.fit(" ".join(words[:count]), style, width_mm))
            words = words[count:]
        return [*wrapped, self.fit(" ".join(words), style, width_mm)] if words else wrapped

    def write(self, text: str, at_mm: tuple[float, float], style: Style) -> None:
        """Write one line whose baseline starts at `at_mm`."""
        size, at = self._px(style.size_mm), (self._px(at_mm[0]), self._px(at_mm[1]))
        shown = printable(text)  # OpenCV 5.0 dies of an unpaired surrogate
        cv2.putText(self._canvas, shown, at, style.colour, self._face, size, style.weight)

    def write_right(self, text: str, at_mm: tuple[float, float], style: Style) -> None:
        """Write one line whose baseline ends at `at_mm`."""
        self.write(text, (at_mm[0] - self.measure(text, style), at_mm[1]), style)

    def fill(self, box_mm: tuple[float, float, float, float], colour: Colour) -> None:
        """Fill the box (left, top, right, bottom)."""
        left, top, right, bottom = map(self._px, box_mm)
        if right > left and bottom > top:
            corners = (left, top), (right - 1, bottom - 1)
            cv2.rectangle(self._canvas, *corners, colour, cv2.FILLED)

    def place(
        self, image: NDArray[np.uint8], at_mm: tuple[float, float], box_mm: tuple[float, float]
    ) -> tuple[float, float]:
        """Draw an RGB picture (h, w, 3) as large as the box allows, centred, its shape kept.

        Growing repeats source pixels, so that print shows no value that the frame did not have;
        shrinking averages areas.

        Returns
        -------
        left and right edge of the picture in mm
        """
        box_w, box_h = self._px(box_mm[0]), self._px(box_mm[1])
        height, width = image.shape[:2]
        scale = min(box_w / width, box_h / height)
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST_EXACT
        scaled = cv2.resize(np.ascontiguousarray(image), size_wh, interpolation=mode)
        left = self._px(at_mm[0]) + (box_w - size_wh[0]) // 2
        top = self._px(at_mm[1]) + (box_h - size_wh[1]) // 2
        self._canvas[top : top + size_wh[1], left : left + size_wh[0]] = scaled
        return left / self._px_per_mm, (left + size_wh[0]) / self._px_per_mm

    def encode_png(self) -> bytes:
        """Return the sheet as PNG with its resolution."""
        return encode_png(self._canvas, (1 / self._px_per_mm, 1 / self._px_per_mm))

    def _px(self, length_mm: float) -> int:
        return round(length_mm * self._px_per_mm)
