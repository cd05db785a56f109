"""Finds the ultrasound in a scanner's picture, among text, rulers, bars and black.

All on a small copy of the luma: what is thinner than a fortieth of the picture, such as text, is
wiped away; what then differs from the black around, or changes, is a candidate; one that changes
or has a texture is image. The fan that these parts suggest is completed where that adds nothing
but black, for places that are dark now may be bright later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.sector.fan import (
    Polygon,
    clipped,
    completed,
    convex,
    filled,
    grown,
    hull_of,
    mirrored,
    simplified,
)
from stream.sector.outline import Sector

SIDE = 320
"""Longest side of the small copy in pixels, at most."""
THIN = 1 / 40
"""What is thinner, in sides of the small copy, is no image."""

# Grey levels
_NEAREST, _NEAR = 1.5, 4.0  # black is black: from a clean to a noisy one
_FLAT = 3.0  # range over 5 x 5 pixels of a surface
_ROUGH = 3.0  # range over 3 x 3 pixels of a texture
_MOVES = 0.5  # mean change from picture to picture
_MARK = 25.0  # text on black
_DARK = 100.0  # the lightest surround
# Shares of the picture
_BLACK, _PART = 0.02, 0.003
_LEAST, _MOST = 0.08, 0.98
# Shares of a part
_PART_MOVES, _PART_ROUGH, _VERY_ROUGH = 0.3, 0.5, 0.6
_BAR = 0.15  # a part that does not change and is thinner than this share of the picture is a bar
_STILL = 0.1  # weight of a part that does not change, against one that does
_FLATTEST = 0.25  # height over width
_MARKS = 3  # small pixels of text that stop a completion
_MARGIN = 1.5  # small pixels around the image
_GROWS = 1.02  # area of a sector found again that is worth a change
_ALIGN = 4  # whole chroma samples in every common layout

Grey = NDArray[np.float32]
Mask = NDArray[np.uint8]


def find_sector(pictures: Sequence[Pixels], known: Sector | None = None) -> Sector | None:
    """Find where the image lies, from a few successive pictures of one format.

    A probe in the air shows only the upper part of its fan, so look again from time to time.

    Parameters
    ----------
    pictures : at least one; about eight tell moving image from standing text
    known : what was found before in pictures of this format

    Returns
    -------
    None where no plausible sector is found, or where it fills the whole picture; then nothing
    may be cut. A sector found before never shrinks, and comes back itself where it is enough.
    """
    found = _find(pictures)
    if known is None or found is None:
        return found or known
    corners = convex(np.array(known.outline + found.outline))
    if cv2.contourArea(corners) <= _GROWS * cv2.contourArea(np.array(known.outline)):
        return known
    return _to_sector(corners, known.size_wh)


def _find(pictures: Sequence[Pixels]) -> Sector | None:
    height, width = pictures[0].shape_hw
    factor = 1  # a power of two, which is quick
    while max(width, height) > factor * SIDE:
        factor *= 2
    look = _look([_small_luma(picture, factor) for picture in pictures])
    image = _image_of(look) if look.black <= _DARK else None
    if image is None:
        return None
    outline = _outline(look, image)
    if not _LEAST <= cv2.contourArea(outline) / look.level.size <= _MOST:
        return None
    extent = np.ptp(outline, axis=0)
    if extent[1] < _FLATTEST * extent[0]:
        return None
    small_wh = np.array([width // factor, height // factor])
    # What the small copy left out at the right and the bottom belongs to its last pixels.
    scale = np.where(outline >= small_wh - 0.5, np.array([width, height]) / small_wh, factor)
    return _to_sector(outline * scale, (width, height))


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What the small copies tell; arrays of shape (h, w).

    Parameters
    ----------
    level : mean grey level
    black : grey level of the surround
    lit : 1 where the level is not that of the surround, thin things wiped away
    moving : 1 where the picture changes
    kernel : square as wide as what is too thin
    """

    level: Grey
    black: float
    lit: Mask
    moving: Mask
    kernel: Mask


def _small_luma(picture: Pixels, factor: int) -> NDArray[np.uint8]:
    plane = picture.planes[0]
    size_wh = (plane.shape[1] // factor, plane.shape[0] // factor)
    whole = plane[: size_wh[1] * factor, : size_wh[0] * factor]
    # The levels of this module were found with these averages; others move the outline.
    small = cv2.resize(whole, size_wh, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return small if small.ndim == 2 else np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def _look(lumas: Sequence[NDArray[np.uint8]]) -> _Look:
    stack = np.stack(lumas).astype(np.float32)
    level = stack.mean(axis=0)
    steps = np.abs(np.diff(stack, axis=0)).mean(axis=0) if len(stack) > 1 else 0 * level
    change = cv2.blur(steps, (3, 3))
    thin = max(3, round(THIN * max(level.shape)) | 1)
    kernel = np.ones((thin, thin), np.uint8)
    broad = np.asarray(cv2.morphologyEx(level, cv2.MORPH_OPEN, kernel), np.float32)
    black = _black_level(broad, change)
    away = np.abs(broad - black)
    spread = float(np.median(away[away <= _NEAR])) if (away <= _NEAR).any() else 0.0
    lit = away > min(_NEAR, _NEAREST + 2 * spread)
    noise = float(np.median(change[~lit])) if not lit.all() else 0.0
    moving = (change > max(_MOVES, 3 * noise)).astype(np.uint8)
    return _Look(level, black, _opened(lit.astype(np.uint8), kernel), moving, kernel)


def _black_level(broad: Grey, change: Grey) -> float:
    """Return the darkest level of a flat, still area of some size, or the darkest of all."""
    flat = _range(broad, 5) <= _FLAT
    still = change <= max(0.3, float(np.percentile(change, 10)) + 0.2)
    levels = np.clip(np.rint(broad[flat & still]), 0, 255).astype(np.int64)
    counts = np.bincount(levels, minlength=256)
    near = np.convolve(counts, np.ones(5), mode="same")
    common = np.flatnonzero(near >= _BLACK * broad.size)
    if not len(common):
        return float(broad.min())
    peak = int(common[0])
    while peak < 255 and near[peak + 1] > near[peak]:
        peak += 1
    lowest = max(0, peak - 2)
    return float(lowest + counts[lowest : peak + 3].argmax())


def _image_of(look: _Look) -> Mask | None:
    """Return 1 where image is: the largest part, most of all one that changes, and its like."""
    candidates = look.lit | _opened(look.moving, look.kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(candidates, connectivity=4)
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    rough = _range(look.level, 3) > _ROUGH
    moves = np.bincount(labels.ravel(), look.moving.ravel(), count) / area
    texture = np.bincount(labels.ravel(), rough.ravel(), count) / area
    fit = (area >= _PART * labels.size) & ((moves > _PART_MOVES) | (texture > _PART_ROUGH))
    fit[0] = False
    if not fit.any():
        return None
    main = int(np.argmax(fit * area * (_STILL + moves)))
    like = (moves > moves[main] / 2) & (moves > 0)
    thick = stats[:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)].min(axis=1) > _BAR * min(labels.shape)
    like |= (texture > _VERY_ROUGH) & (area > area[main] / 4) & thick
    image: Mask = (fit & like | (np.arange(count) == main))[labels].astype(np.uint8)
    return image | look.moving & np.asarray(cv2.dilate(image, look.kernel), np.uint8)


def _outline(look: _Look, image: Mask) -> Polygon:
    """Return the hull of the image, completed as far as that takes in no text."""
    size_wh = look.level.shape[::-1]
    hull = hull_of(image)
    whole = mirrored(hull)
    near = filled(grown(hull, 3.0), look.level.shape)
    marks = (np.abs(look.level - look.black) > _MARK) & ~near & (look.moving == 0)
    best = hull
    for guess in (completed(whole), whole, convex(completed(hull))):
        if np.count_nonzero(marks & filled(guess, look.level.shape)) < _MARKS:
            best = guess
            break
    return clipped(grown(best, _MARGIN), size_wh)


def _to_sector(outline: NDArray[np.floating], size_wh: tuple[int, int]) -> Sector:
    corners = simplified(outline.astype(np.float32))
    columns, rows = zip(*corners, strict=True)
    box = (
        min(columns) // _ALIGN * _ALIGN,
        min(rows) // _ALIGN * _ALIGN,
        min(size_wh[0], -(-max(columns) // _ALIGN) * _ALIGN),
        min(size_wh[1], -(-max(rows) // _ALIGN) * _ALIGN),
    )
    return Sector(box, corners, size_wh)


def _opened(mask: Mask, kernel: Mask) -> Mask:
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), np.uint8)


def _range(level: Grey, side: int) -> Grey:
    kernel = np.ones((side, side), np.uint8)
    return np.asarray(cv2.dilate(level, kernel) - cv2.erode(level, kernel))
