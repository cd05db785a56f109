"""Saliency drawn over a frame: one colour scale for live view, HTML and PNG panels.

The colours are plasma: its lightness rises steadily, so the order survives grey printing and
colour blindness; it is saturated at every step, so no level can pass for grey tissue; and it
does not set red against blue, which a reader of ultrasound would take for colour Doppler.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MAX_ALPHA = 0.72
_BAR_TISSUE = 72


def draw_overlay(image: NDArray[np.uint8], saliency: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blend saliency over a frame; where saliency is low the anatomy stays as it was.

    Parameters
    ----------
    image : shape (H, W) grey or (H, W, 3) RGB, uint8
    saliency : shape (H, W), in [0, 1]; values outside are clipped, NaN counts as 0

    Returns
    -------
    shape (H, W, 3), uint8 RGB

    Raises
    ------
    ValueError
        If the two do not have the same height and width.
    """
    if image.shape[:2] != saliency.shape:
        raise ValueError(f"saliency {saliency.shape}: expected the frame's {image.shape[:2]}")
    positive = cv2.threshold(saliency, 0.0, 0.0, cv2.THRESH_TOZERO)[1]
    level = cv2.convertScaleAbs(positive, alpha=255.0)
    keep = cv2.LUT(level, _KEEP)
    if image.ndim == 2:
        kept = cv2.merge([cv2.multiply(image, keep, scale=1 / 255)] * 3)
    else:
        kept = cv2.multiply(image, cv2.merge([keep, keep, keep]), scale=1 / 255)
    return cv2.add(kept, cv2.applyColorMap(level, _TINT)).astype(np.uint8, copy=False)


def draw_colour_bar(size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw the scale of `draw_overlay` as it looks over mid-dark tissue, 0 left, 1 right.

    Parameters
    ----------
    size_wh : width and height in pixels

    Returns
    -------
    shape (h, w, 3), uint8 RGB
    """
    width, height = size_wh
    ramp = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    return draw_overlay(np.full((height, width), _BAR_TISSUE, np.uint8), ramp)


def as_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a grey (H, W) or RGB picture as (H, W, 3)."""
    image = np.atleast_3d(image)
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _build_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return per level of saliency the colour to add (256, 1, 3) and the share of tissue kept."""
    levels = np.arange(256, dtype=np.uint8)[:, None]
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_PLASMA)[:, 0, ::-1]
    ramp = np.linspace(0.0, 1.0, 256)
    alpha = _MAX_ALPHA * ramp**2 * (3 - 2 * ramp)
    tint = np.rint(colours * alpha[:, None]).astype(np.uint8)
    return tint[:, None], np.rint(255 * (1 - alpha)).astype(np.uint8)


_TINT, _KEEP = _build_tables()
