"""The outline of the ultrasound in a scanner's picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Box

MAX_CORNERS = 64
Corner = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sector:
    """Where the image lies in a picture.

    Corners and box lie on the grid between the pixels: pixel (x, y) reaches from x to x + 1, and
    is inside where its middle is.

    Parameters
    ----------
    box_xyxy : part of the picture that holds the outline
    outline : 3 to `MAX_CORNERS` corners (x, y), convex, in order of travel
    size_wh : of the picture

    Raises
    ------
    ValueError
        If the outline is not convex, or leaves the box, or the box leaves the picture.
    """

    box_xyxy: Box
    outline: tuple[Corner, ...]
    size_wh: tuple[int, int]

    def __post_init__(self) -> None:
        width, height = self.size_wh
        if not 3 <= len(self.outline) <= MAX_CORNERS:
            raise ValueError(f"{len(self.outline)} corners: expected 3 to {MAX_CORNERS}")
        left, top, right, bottom = self.box_xyxy
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(f"box {self.box_xyxy}: leaves the picture of {width}x{height}")
        if not all(left <= x <= right and top <= y <= bottom for x, y in self.outline):
            raise ValueError(f"outline {self.outline}: leaves the box {self.box_xyxy}")
        if not _is_convex(self.outline):
            raise ValueError(f"outline {self.outline}: not convex")

    def mask(self) -> NDArray[np.bool_]:
        """Return shape (H, W), True inside."""
        width, height = self.size_wh
        middles = np.arange(height) + 0.5
        left, right = np.full(height, np.inf), np.full(height, -np.inf)
        ends = self.outline[1:] + self.outline[:1]
        for (x0, y0), (x1, y1) in zip(self.outline, ends, strict=True):
            if y0 == y1:
                continue
            rows = slice(min(y0, y1), max(y0, y1))
            crossing = x0 + (middles[rows] - y0) * ((x1 - x0) / (y1 - y0))
            left[rows] = np.minimum(left[rows], crossing)
            right[rows] = np.maximum(right[rows], crossing)
        columns = np.arange(width) + 0.5
        return (columns >= left[:, None]) & (columns <= right[:, None])


def _is_convex(outline: tuple[Corner, ...]) -> bool:
    """Return whether all corners turn the same way, and once around in all."""
    ends = outline[1:] + outline[:1]
    sides = [(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in zip(outline, ends, strict=True)]
    around, signs = 0.0, set()
    for (a, b), (c, d) in zip(sides, sides[1:] + sides[:1], strict=True):
        turn = a * d - b * c
        signs.add(turn > 0 if turn else None)
        around += math.atan2(turn, a * c + b * d)
    return len(signs) == 1 and None not in signs and abs(abs(around) - math.tau) < 1e-6
