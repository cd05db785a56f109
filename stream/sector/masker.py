"""Cuts pictures to a sector's box and leaves nothing but the sector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import NEUTRAL, Box, Pixels
from stream.sector.outline import Sector

BLACK_LIMITED = 16

_WHOLE = 1 - 1e-4  # share of a chroma sample inside, but for rounding of the area average
_SUBSAMPLINGS = (1, 2, 4)


class Masker:
    """Cuts pictures to a sector's box and blackens what lies outside its outline.

    The masks of a plane layout are made once. The box grows to whole chroma samples; a chroma
    sample is kept where all the pixels that it colours are inside.

    Parameters
    ----------
    sector : of the pictures to come
    """

    def __init__(self, sector: Sector) -> None:
        self._sector = sector
        self._layout: object = None
        self._cuts: tuple[_Cut, ...] = ()

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the picture inside the sector, in planes of its own.

        Raises
        ------
        ValueError
            If the picture has another size than the sector's.
        """
        self._prepare(pixels)
        planes = tuple(
            cut.apply(plane) for cut, plane in zip(self._cuts, pixels.planes, strict=True)
        )
        return Pixels(planes, pixels.matrix, pixels.full_range)

    def box_xyxy(self, pixels: Pixels) -> Box:
        """Return the part that is left of pictures like this one, in its pixels."""
        self._prepare(pixels)
        return self._cuts[0].box

    def _prepare(self, pixels: Pixels) -> None:
        layout = ([plane.shape for plane in pixels.planes], pixels.full_range)
        if layout != self._layout:
            self._cuts, self._layout = _build_cuts(self._sector, pixels), layout


class _Grid(NamedTuple):
    """Along one axis so many pixels carry so many chroma samples."""

    pixels: int
    samples: int


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """What happens to one plane: cut to `box`, kept where `keep` is 255, `fill` elsewhere."""

    box: Box
    keep: NDArray[np.uint8]
    fill: NDArray[np.uint8] | None

    def apply(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        left, top, right, bottom = self.box
        kept = cv2.bitwise_and(plane[top:bottom, left:right], self.keep)
        if self.fill is not None:
            cv2.bitwise_or(kept, self.fill, dst=kept)
        return kept.astype(np.uint8, copy=False)


def _build_cuts(sector: Sector, pixels: Pixels) -> tuple[_Cut, ...]:
    first, *chroma = pixels.planes
    shape_hw = pixels.shape_hw
    if shape_hw != sector.size_wh[::-1]:
        raise ValueError(f"picture {shape_hw}: the sector is for {sector.size_wh[::-1]}")
    inside = sector.mask()
    grids = [
        _grid(full, part)
        for full, part in zip(shape_hw, (chroma[0] if chroma else first).shape, strict=False)
    ]
    box = _aligned(sector.box_xyxy, shape_hw, grids)
    black = 0 if pixels.full_range or first.ndim == 3 else BLACK_LIMITED
    cuts = [_cut_of(inside, box, black, first.shape[2:])]
    for plane in chroma:
        small = _shrunk(inside, plane.shape, grids)
        cuts.append(_cut_of(small, _scaled(box, grids), NEUTRAL))
    return tuple(cuts)


def _cut_of(inside: NDArray[np.bool_], box: Box, value: int, rest: tuple[int, ...] = ()) -> _Cut:
    left, top, right, bottom = box
    keep = np.where(inside[top:bottom, left:right], np.uint8(255), np.uint8(0))
    fill = np.where(keep, np.uint8(0), np.uint8(value)) if value else None
    if rest:
        keep = np.repeat(keep[..., None], rest[0], axis=2)
    return _Cut(box, keep, fill)


def _grid(full: int, part: int) -> _Grid:
    """Return how many pixels of an axis are covered by how many chroma samples, both whole."""
    for factor in _SUBSAMPLINGS:
        if -(-full // factor) == part:
            return _Grid(factor, 1)
    shared = math.gcd(full, part)
    return _Grid(full // shared, part // shared)


def _aligned(box: Box, shape_hw: tuple[int, int], grids: list[_Grid]) -> Box:
    (height, width), (rows, columns) = shape_hw, grids
    left, top, right, bottom = box
    return (
        left // columns.pixels * columns.pixels,
        top // rows.pixels * rows.pixels,
        min(width, -(-right // columns.pixels) * columns.pixels),
        min(height, -(-bottom // rows.pixels) * rows.pixels),
    )


def _scaled(box: Box, grids: list[_Grid]) -> Box:
    """Return an aligned box in chroma samples; a half covered last one counts."""
    rows, columns = grids
    left, top, right, bottom = box
    return (
        left * columns.samples // columns.pixels,
        top * rows.samples // rows.pixels,
        -(-right * columns.samples // columns.pixels),
        -(-bottom * rows.samples // rows.pixels),
    )


def _shrunk(
    inside: NDArray[np.bool_], shape: tuple[int, ...], grids: list[_Grid]
) -> NDArray[np.bool_]:
    """Return where chroma samples lie inside with all the pixels that they colour."""
    pads = [
        (0, part * grid.pixels // grid.samples - full)
        for full, part, grid in zip(inside.shape, shape, grids, strict=True)
    ]
    padded = np.pad(inside, pads, mode="edge").astype(np.float32)
    share = cv2.resize(padded, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= _WHOLE, np.bool_)
