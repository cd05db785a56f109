"""Finds burned-in text: rows of sharp bright letters.

What it misses: fewer than four letters in a row, letters lower than 5 or higher than 40 pixels,
dark or dim letters, letters that touch each other or bright tissue, and slanted rows.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Box

STROKE_PX = 9
CONTRAST, BRIGHT = 70, 120
HEIGHT_PX = (5, 40)
LETTERS = 4

Letter = tuple[int, int, int, int]


def find_text(grey: NDArray[np.uint8]) -> list[Box]:
    """Return the boxes (left, top, right, bottom) of rows of letters in a picture (H, W)."""
    letters = _letters(grey)
    rows: list[Box] = []
    used: set[int] = set()
    for first in range(len(letters)):
        if first not in used:
            row = _row(letters, first, used)
            if len(row) >= LETTERS:
                used.update(row)
                rows.append(_around([letters[place] for place in row]))
    return rows


def _letters(grey: NDArray[np.uint8]) -> list[Letter]:
    """Return left, top, width and height of what could be a letter, from left to right."""
    stroke = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE_PX, STROKE_PX))
    sharp = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, stroke)
    mask = ((sharp > CONTRAST) & (grey > BRIGHT)).astype(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    _, _, width, height, area = found[1:].T
    low, high = HEIGHT_PX
    solid = (area >= 6) & (area >= 0.18 * width * height)
    fitting = found[1:][(height >= low) & (height <= high) & (width <= 1.6 * height) & solid]
    return sorted(tuple(line) for line in fitting[:, :4].tolist())


def _row(letters: list[Letter], first: int, used: set[int]) -> list[int]:
    row, last = [first], letters[first]
    for place in range(first + 1, len(letters)):
        if letters[place][0] > last[0] + last[2] + 1.2 * HEIGHT_PX[1]:
            break
        if place not in used and _follows(last, letters[place]):
            row.append(place)
            last = letters[place]
    return row


def _follows(last: Letter, other: Letter) -> bool:
    """Say whether a letter stands to the right of another on the same line."""
    tall, low = max(last[3], other[3]), min(last[3], other[3])
    gap = other[0] - last[0] - last[2]
    feet = abs(other[1] + other[3] - last[1] - last[3])
    return -1 <= gap <= 1.2 * tall and low >= 0.6 * tall and feet <= max(1, 0.15 * tall)


def _around(letters: list[Letter]) -> Box:
    left, top, _, _ = np.min(letters, axis=0).tolist()
    return left, top, max(x + w for x, _, w, _ in letters), max(y + h for _, y, _, h in letters)
