"""An image as its decoder left it: grey, RGB, or YUV planes converted only when somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.area import shrink

Matrix = Literal["bt601", "bt709"]
Box = tuple[int, int, int, int]

NEUTRAL = 128
_LUMA_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """One picture: one grey plane, one interleaved RGB plane, or three YUV planes.

    Parameters
    ----------
    planes : uint8
        ``(Y,)`` of shape (H, W), ``(RGB,)`` of shape (H, W, 3), or ``(Y, U, V)`` where Y is
        (H, W) and U, V share a shape of at most (H, W) and cover the same field.
    matrix : YUV to RGB coefficients (ITU-R BT.601 or BT.709); unused without chroma
    full_range : True when luma spans 0..255, False when it spans 16..235

    Raises
    ------
    ValueError
        If the planes are not one of the three layouts.
    """

    planes: tuple[NDArray[np.uint8], ...]
    matrix: Matrix = "bt601"
    full_range: bool = True

    def __post_init__(self) -> None:
        first, *chroma = self.planes
        if len(chroma) == 2:
            u, v = chroma
            fit = (
                first.ndim == u.ndim == 2 and u.shape == v.shape and u.dtype == v.dtype == np.uint8
            )
        else:
            fit = not chroma and (first.ndim == 2 or first.shape[2:] == (3,))
        if not fit or first.dtype != np.uint8 or not first.size:
            shapes = [plane.shape for plane in self.planes]
            raise ValueError(f"planes {shapes}: expected uint8 (H, W), (H, W, 3) or Y, U, V planes")

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.planes[0].shape[:2]
        return int(height), int(width)

    @property
    def nbytes(self) -> int:
        """Bytes held by all planes."""
        return sum(plane.nbytes for plane in self.planes)

    def to_image(self) -> NDArray[np.uint8]:
        """Return the picture as (H, W) when it has no colour, else as (H, W, 3) RGB."""
        first, *chroma = self.planes
        if first.ndim == 2 and all((plane == NEUTRAL).all() for plane in chroma):
            return first if self.full_range else _stretch(first)
        return self.resized(self.shape_hw[::-1])

    def resized(self, size_wh: tuple[int, int], box_xyxy: Box | None = None) -> NDArray[np.uint8]:
        """Crop, resize each plane without aliasing, then convert to RGB.

        Resizing before converting touches far fewer pixels; both steps are linear, so only
        rounding and clipping differ from the other order.

        Parameters
        ----------
        size_wh : width and height of the result
        box_xyxy : part of the picture to use, in full-resolution pixels; all when None

        Returns
        -------
        shape (h, w, 3), uint8 RGB
        """
        height, width = self.shape_hw
        box = box_xyxy or (0, 0, width, height)
        scaled = [resize_plane(_cut(plane, box, (height, width)), size_wh) for plane in self.planes]
        return _to_rgb(scaled, self.matrix, self.full_range)


def resize_plane(plane: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize without aliasing: an axis that shrinks is averaged, one that grows is interpolated.

    Parameters
    ----------
    plane : shape (H, W) or (H, W, 3), uint8
    size_wh : width and height of the result

    Returns
    -------
    shape (h, w) or (h, w, 3), uint8
    """
    height, width = plane.shape[:2]
    shrunk_wh = (min(width, size_wh[0]), min(height, size_wh[1]))
    if shrunk_wh != (width, height):
        plane = shrink(plane, shrunk_wh)
    if shrunk_wh == size_wh:
        return plane
    grown = cv2.resize(plane, size_wh, interpolation=cv2.INTER_LINEAR)
    return grown.astype(np.uint8, copy=False)


def _cut(plane: NDArray[np.uint8], box: Box, full_hw: tuple[int, int]) -> NDArray[np.uint8]:
    if box == (0, 0, full_hw[1], full_hw[0]):
        return plane
    scale_y, scale_x = plane.shape[0] / full_hw[0], plane.shape[1] / full_hw[1]
    left, top = int(box[0] * scale_x), int(box[1] * scale_y)
    right, bottom = max(left + 1, round(box[2] * scale_x)), max(top + 1, round(box[3] * scale_y))
    return plane[top:bottom, left:right]


def _to_rgb(planes: list[NDArray[np.uint8]], matrix: Matrix, full_range: bool) -> NDArray[np.uint8]:
    if planes[0].ndim == 3:
        return planes[0]
    if len(planes) == 1:
        luma = planes[0] if full_range else _stretch(planes[0])
        return cv2.merge([luma, luma, luma]).astype(np.uint8, copy=False)
    yuv = cv2.merge(planes)
    return cv2.transform(yuv, _YUV_TO_RGB[matrix, full_range]).astype(np.uint8, copy=False)


def _stretch(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.LUT(luma, _LIMITED_TO_FULL).astype(np.uint8, copy=False)


def _yuv_to_rgb(matrix: Matrix, full_range: bool) -> NDArray[np.float64]:
    """Return the (3, 4) matrix of ITU-T H.273 (2021) section 8.3, equations 38 to 40."""
    kr, kb = _LUMA_WEIGHTS[matrix]
    kg = 1.0 - kr - kb
    luma, chroma, black = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    red_v, blue_u = 2 * (1 - kr) * chroma, 2 * (1 - kb) * chroma
    rows = np.array(
        [
            [luma, 0.0, red_v],
            [luma, -blue_u * kb / kg, -red_v * kr / kg],
            [luma, blue_u, 0.0],
        ]
    )
    offset = -rows @ np.array([black, 128.0, 128.0])
    return np.hstack([rows, offset[:, None]])


_YUV_TO_RGB = {
    (matrix, full): _yuv_to_rgb(matrix, full)
    for matrix in ("bt601", "bt709")
    for full in (True, False)
}
_LIMITED_TO_FULL = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
