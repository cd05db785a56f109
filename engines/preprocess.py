"""The one way from a picture to model input, and the way back for class maps.

A picture is cropped and placed by the model's fit rule:

- ``letterbox``: the whole picture, its aspect kept, centred on black;
- ``stretch``: the whole picture, filling the input;
- ``center_square``: the largest centred rectangle of the input's aspect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Box, Pixels
from engines.spec import Fit


@dataclass(frozen=True, slots=True)
class Placement:
    """Which part of a picture lands where in the model input.

    Parameters
    ----------
    crop_xyxy : part of the picture that is used, in picture pixels
    inner_xyxy : part of the model input that it fills, in input pixels
    input_wh : size of the model input
    """

    crop_xyxy: Box
    inner_xyxy: Box
    input_wh: tuple[int, int]


@lru_cache(maxsize=64)
def place(shape_hw: tuple[int, int], input_wh: tuple[int, int], fit: Fit) -> Placement:
    """Return where a picture of `shape_hw` goes in an input of `input_wh`."""
    (height, width), (in_w, in_h) = shape_hw, input_wh
    whole, full = (0, 0, width, height), (0, 0, in_w, in_h)
    if fit == "stretch":
        return Placement(whole, full, input_wh)
    if fit == "center_square":
        scale = min(width / in_w, height / in_h)
        crop_w, crop_h = max(1, round(in_w * scale)), max(1, round(in_h * scale))
        left, top = (width - crop_w) // 2, (height - crop_h) // 2
        return Placement((left, top, left + crop_w, top + crop_h), full, input_wh)
    scale = min(in_w / width, in_h / height)
    inner_w, inner_h = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (in_w - inner_w) // 2, (in_h - inner_h) // 2
    return Placement(whole, (left, top, left + inner_w, top + inner_h), input_wh)


def to_model_input(pixels: Pixels, input_wh: tuple[int, int], fit: Fit) -> NDArray[np.uint8]:
    """Crop and resize a picture to model input, without aliasing.

    Returns
    -------
    shape (h, w, 3), uint8 RGB, C-contiguous; black where the picture does not reach
    """
    where = place(pixels.shape_hw, input_wh, fit)
    left, top, right, bottom = where.inner_xyxy
    inner = pixels.resized((right - left, bottom - top), where.crop_xyxy)
    if inner.shape[:2] == (input_wh[1], input_wh[0]):
        return np.ascontiguousarray(inner)
    canvas = np.zeros((input_wh[1], input_wh[0], 3), np.uint8)
    canvas[top:bottom, left:right] = inner
    return canvas


def cut_cam(cam: NDArray[np.float32], where: Placement) -> NDArray[np.float32]:
    """Return the cells of one class map (h, w) whose centres lie on the picture, not on bars."""
    height, width = cam.shape
    rows, columns = _cells((height, width), where)
    return cam[rows, columns]


@lru_cache(maxsize=64)
def _cells(shape_hw: tuple[int, int], where: Placement) -> tuple[slice, slice]:
    """Return rows and columns of those cells; all where the picture is thinner than a cell."""
    left, top, right, bottom = where.inner_xyxy
    rows = _centres_within(shape_hw[0], where.input_wh[1], (top, bottom))
    columns = _centres_within(shape_hw[1], where.input_wh[0], (left, right))
    if rows.start == rows.stop or columns.start == columns.stop:
        return slice(None), slice(None)
    return rows, columns


def _centres_within(cells: int, side_px: int, span: tuple[int, int]) -> slice:
    """Return which of the cells along a side have their centre in the span [start, end)."""
    centres = (np.arange(cells) + 0.5) * side_px / cells
    first, last = np.searchsorted(centres, span)
    return slice(int(first), int(last))


def cam_to_image(
    cam: NDArray[np.float32], shape_hw: tuple[int, int], where: Placement
) -> NDArray[np.float32]:
    """Bring one class map back onto its picture by linear interpolation.

    Parameters
    ----------
    cam : shape (h, w), a map whose cells tile the model input evenly
    shape_hw : size of the picture
    where : placement of that picture in the model input

    Returns
    -------
    shape (H, W), float32; zero outside the crop
    """
    on_input = cv2.resize(cam, where.input_wh, interpolation=cv2.INTER_LINEAR)
    left, top, right, bottom = where.inner_xyxy
    x0, y0, x1, y1 = where.crop_xyxy
    inner = np.ascontiguousarray(on_input[top:bottom, left:right])
    drawn = cv2.resize(inner, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    picture = np.zeros(shape_hw, np.float32)
    picture[y0:y1, x0:x1] = drawn
    return picture
