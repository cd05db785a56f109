"""Looks for text in a picture: a network proposes places, another tries to read them.

Both come with the package rapidocr-onnxruntime: the detector and the recogniser of PP-OCRv4. They
run here from its files, on one thread; nothing is fetched. The first alone takes bright tissue for
text; a place counts as text where the second can read letters in it.

References
----------
Liao et al. 2020, "Real-time Scene Text Detection with Differentiable Binarization": the map, and
how far a place is larger than its mark in the map.
Shi et al. 2015, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition":
how letters are taken from the columns of the reading.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.report.privacy.networks import open_networks

MOST_PX = 1.3e6
"""Pixels in which places are looked for; it sets the time."""
LARGEST = 2.0
"""A small picture is enlarged as far as this, or letters of 10 pixels are missed."""
_MULTIPLE = 32  # sides that the detector takes
_MARKED = 0.3  # value of the map from which a place is marked
_THINNEST_PX, _SMALLEST_PX = 2.5, 16  # in the picture, and in the map
_SURE = 0.6  # mean probability of the letters of a reading; speckle reaches 0.55
_UNCLIP = 1.6  # a mark of this area over this length grows by their quotient times this
_ROW = 48  # height of what the recogniser reads
_LONGEST = 1600
_RULER = re.compile("[0-9]{1,2}(cm|mm)?")
_SQUARE = 1.5  # a place less long than this may lie in any of four ways

Box = tuple[int, int, int, int]


class _Place(NamedTuple):
    """A place in the picture that may hold text, as `cv2.minAreaRect` says it."""

    middle_xy: tuple[float, float]
    size_wh: tuple[float, float]
    angle: float


def find_text(image: NDArray[np.uint8]) -> Box | None:
    """Return where the first text that can be read lies, or None.

    A single letter, and up to two digits with cm or mm, are not counted: rulers have them.

    Parameters
    ----------
    image : shape (H, W) or (H, W, 3) RGB

    Returns
    -------
    left, top, right, bottom, in pixels
    """
    corner = _lit_box(image)
    if corner is None:
        return None
    left, top, right, bottom = corner
    part = image[top:bottom, left:right]
    colours = cv2.COLOR_GRAY2BGR if part.ndim == 2 else cv2.COLOR_RGB2BGR
    bgr = np.asarray(cv2.cvtColor(part, colours), np.uint8)
    for place in _places(bgr):
        if any(counts(*_read(turned)) for turned in _turned(bgr, place)):
            x, y, width, height = cv2.boundingRect(cv2.boxPoints(place))
            return left + x, top + y, left + x + width, top + y + height
    return None


def counts(text: str, probability: float) -> bool:
    """Tell whether a reading is text that may be a name, a date or a number of somebody."""
    letters = "".join(letter for letter in text.lower() if letter.isalnum())
    return probability >= _SURE and len(letters) >= 2 and not _RULER.fullmatch(letters)


def _lit_box(image: NDArray[np.uint8]) -> Box | None:
    """Return what holds all pixels that are not black."""
    lit = image if image.ndim == 2 else cv2.bitwise_not(cv2.inRange(image, (0, 0, 0), (0, 0, 0)))
    left, top, width, height = cv2.boundingRect(lit)
    return (left, top, left + width, top + height) if width else None


def _places(bgr: NDArray[np.uint8]) -> Iterator[_Place]:
    """Yield where the detector marks something, at the scale of the picture."""
    height, width = bgr.shape[:2]
    scale = min(LARGEST, math.sqrt(MOST_PX / (height * width)))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    marks = _map(np.asarray(cv2.resize(bgr, size_wh, interpolation=way), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats((marks > _MARKED).astype(np.uint8))
    for number, (x, y, wide, high, area) in enumerate(stats.tolist()):
        if number == 0 or area < _SMALLEST_PX:
            continue
        mark = labels[y : y + high, x : x + wide] == number
        points = np.argwhere(mark)[:, ::-1] + (x + 0.5, y + 0.5)
        middle, (a, b), angle = cv2.minAreaRect((points / scale).astype(np.float32))
        a, b = a + 1 / scale, b + 1 / scale
        if min(a, b) >= _THINNEST_PX:
            grows = _UNCLIP * a * b / (a + b)
            yield _Place((middle[0], middle[1]), (a + grows, b + grows), angle)


def _map(bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the detector's map, shape (h, w), in [0, 1]."""
    height, width = bgr.shape[:2]
    below, beside = -height % _MULTIPLE, -width % _MULTIPLE
    whole = cv2.copyMakeBorder(bgr, 0, below, 0, beside, cv2.BORDER_CONSTANT)
    return open_networks().detect(_as_input(np.asarray(whole, np.uint8)))[0, 0, :height, :width]


def _as_input(bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return shape (1, 3, h, w), in [-1, 1]."""
    return np.asarray(cv2.dnn.blobFromImage(bgr, 1 / 127.5, mean=(127.5, 127.5, 127.5)))


def _turned(bgr: NDArray[np.uint8], place: _Place) -> Iterator[NDArray[np.uint8]]:
    """Yield the place as rows of text: along its length, both ways; all four ways if square."""
    (x, y), (width, height), angle = place
    if width < height:
        width, height, angle = height, width, angle + 90
    for quarter in (0, 2) if width > _SQUARE * height else (0, 1, 2, 3):
        wide, high = (width, height) if quarter % 2 == 0 else (height, width)
        scale = _ROW / high
        length = min(_LONGEST, max(_ROW // 2, round(wide * scale)))
        turn = np.asarray(cv2.getRotationMatrix2D(place.middle_xy, angle + 90 * quarter, scale))
        turn = turn + np.array([[0, 0, length / 2 - x], [0, 0, _ROW / 2 - y]])
        yield np.asarray(cv2.warpAffine(bgr, turn, (length, _ROW)), np.uint8)


def _read(row: NDArray[np.uint8]) -> tuple[str, float]:
    """Return the letters in a row of text, and their mean probability."""
    networks = open_networks()
    beside = -row.shape[1] % _MULTIPLE
    given = np.pad(_as_input(row), ((0, 0), (0, 0), (0, 0), (0, beside)))
    columns = networks.read(given)[0]
    best, sure = columns.argmax(axis=1), columns.max(axis=1)
    new = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
    letters = "".join(networks.letters[number] for number in best[new])
    return letters, float(sure[new].mean()) if new.any() else 0.0
