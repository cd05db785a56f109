"""The picture as large as its place allows, and the heat map over it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from engines.preprocess import Placement, place
from engines.spec import ModelSpec
from stream.live.screen.pen import BACK, clear
from stream.report.overlay import draw_overlay

_BAND_ROWS = 200
"""Rows drawn at a time, so that what is made on the way stays in the cache; measured at 1080p."""
_UNSEEN = 0.5 / 255
"""Saliency up to here rounds to the lowest level, which leaves the picture as it was."""


def inner_box(shape_hw: tuple[int, int], place_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the largest centred box (left, top, right, bottom) with the picture's aspect."""
    (height, width), (room_h, room_w) = shape_hw, place_hw
    scale = min(room_w / width, room_h / height)
    inner_w = min(room_w, max(1, round(width * scale)))
    inner_h = min(room_h, max(1, round(height * scale)))
    left, top = (room_w - inner_w) // 2, (room_h - inner_h) // 2
    return left, top, left + inner_w, top + inner_h


class PictureDrawer:
    """Draws pictures at one size; what it makes of them on the way is used again."""

    def __init__(self) -> None:
        self._planes: dict[int, NDArray[np.uint8]] = {}
        self._saliency: NDArray[np.float32] = np.zeros((1, 1), np.float32)
        self._saliency_of: tuple[Placement, tuple[int, int]] | None = None

    def draw(
        self,
        view_bgr: NDArray[np.uint8],
        picture: Pixels | None,
        cam: NDArray[np.float32] | None,
        spec: ModelSpec | None,
    ) -> None:
        """Draw a picture on near-black, its aspect kept, with saliency over it.

        Parameters
        ----------
        view_bgr : shape (H, W, 3), uint8, overwritten
        picture : None leaves the place empty
        cam : shape (h, w), a class map over its full scale, on the model input; None for none
        spec : of the model whose map it is
        """
        if picture is None:
            clear(view_bgr, BACK)
            return
        left, top, right, bottom = inner_box(picture.shape_hw, view_bgr.shape[:2])
        for margin in (view_bgr[:top], view_bgr[bottom:], view_bgr[:, :left], view_bgr[:, right:]):
            clear(margin, BACK)
        inner_bgr = view_bgr[top:bottom, left:right]
        saliency = None
        if cam is not None and spec is not None:
            saliency = self._scale_saliency(cam, picture.shape_hw, inner_bgr.shape[:2], spec)
        scaled = self._scale(picture, (right - left, bottom - top))
        for start in range(0, bottom - top, _BAND_ROWS):
            end = min(start + _BAND_ROWS, bottom - top)
            image = scaled.resized((right - left, end - start), (0, start, right - left, end))
            if saliency is not None and saliency[start:end].max() > _UNSEEN:
                image = draw_overlay(image, saliency[start:end])
            cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=inner_bgr[start:end])

    def _scale(self, picture: Pixels, size_wh: tuple[int, int]) -> Pixels:
        """Resize for the eye: halve while the goal is at most half, then interpolate linearly.

        Unlike the model's input this may alias a little where it shrinks by less than two, which
        an area average avoids at eight times the cost.
        """
        planes = []
        for index, plane in enumerate(picture.planes):
            while plane.shape[1] >= 2 * size_wh[0] and plane.shape[0] >= 2 * size_wh[1]:
                half_wh = (plane.shape[1] // 2, plane.shape[0] // 2)
                plane = _resize(plane, half_wh, cv2.INTER_AREA, None)
            if plane.shape[1::-1] != size_wh:
                plane = _resize(plane, size_wh, cv2.INTER_LINEAR, self._planes.get(index))
                self._planes[index] = plane
            planes.append(plane)
        return replace(picture, planes=tuple(planes))

    def _scale_saliency(
        self,
        cam: NDArray[np.float32],
        shape_hw: tuple[int, int],
        shown_hw: tuple[int, int],
        spec: ModelSpec,
    ) -> NDArray[np.float32]:
        """Bring a class map onto its picture as shown.

        The same as `engines.preprocess.cam_to_image` at the size shown, into one array.
        """
        where = scale_crop(place(shape_hw, spec.input_wh, spec.fit), shape_hw, shown_hw)
        if (where, shown_hw) != self._saliency_of:
            self._saliency_of = (where, shown_hw)
            self._saliency = np.zeros(shown_hw, np.float32)
        on_input = cv2.resize(cam, where.input_wh, interpolation=cv2.INTER_LINEAR)
        left, top, right, bottom = where.inner_xyxy
        x0, y0, x1, y1 = where.crop_xyxy
        inner, drawn = on_input[top:bottom, left:right], self._saliency[y0:y1, x0:x1]
        cv2.resize(inner, (x1 - x0, y1 - y0), dst=drawn, interpolation=cv2.INTER_LINEAR)
        return self._saliency


def scale_crop(where: Placement, shape_hw: tuple[int, int], shown_hw: tuple[int, int]) -> Placement:
    """Return the placement of a picture shown at another size than its own."""
    scale_y, scale_x = shown_hw[0] / shape_hw[0], shown_hw[1] / shape_hw[1]
    x0, y0, x1, y1 = where.crop_xyxy
    left = min(round(x0 * scale_x), shown_hw[1] - 1)
    top = min(round(y0 * scale_y), shown_hw[0] - 1)
    right, bottom = max(left + 1, round(x1 * scale_x)), max(top + 1, round(y1 * scale_y))
    return replace(where, crop_xyxy=(left, top, right, bottom))


def _resize(
    plane: NDArray[np.uint8],
    size_wh: tuple[int, int],
    rule: int,
    buffer: NDArray[np.uint8] | None,
) -> NDArray[np.uint8]:
    """Resize into `buffer` where it fits, else into a new array."""
    scaled = cv2.resize(plane, size_wh, dst=buffer, interpolation=rule)
    return scaled.astype(np.uint8, copy=False)
