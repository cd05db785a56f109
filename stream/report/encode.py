"""Pictures as PNG files, which may say how large their pixels are, and as JPEG files."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

_AFTER_HEADER = 8 + 4 + 4 + 13 + 4


def encode_png(
    image: NDArray[np.uint8], pixel_mm_wh: tuple[float, float] | None = None, level: int = 2
) -> bytes:
    """Encode a picture without loss; the same picture gives the same bytes.

    Parameters
    ----------
    image : shape (H, W) grey or (H, W, 3) RGB, uint8
    pixel_mm_wh : width and height of a pixel, written as pHYs where it is known
    level : of compression, 0 to 9; beyond 3 a panel takes three times as long for 4 % less

    References
    ----------
    W3C, PNG Specification (Third Edition), 5.3 Chunk layout and 11.3.4.3 pHYs.
    """
    options = [
        cv2.IMWRITE_PNG_COMPRESSION,
        level,
        cv2.IMWRITE_PNG_FILTER,
        cv2.IMWRITE_PNG_FILTER_UP,
    ]
    data = cv2.imencode(".png", _as_bgr(image), options)[1].tobytes()
    if pixel_mm_wh is None:
        return data
    per_m = [min(round(1000 / size), 2**31 - 1) for size in pixel_mm_wh]
    body = b"pHYs" + struct.pack(">IIB", *per_m, 1)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:_AFTER_HEADER] + chunk + data[_AFTER_HEADER:]


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Encode a grey (H, W) or RGB picture with full colour resolution, at a quality up to 100."""
    full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour]
    return cv2.imencode(".jpg", _as_bgr(image), options)[1].tobytes()


def _as_bgr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as OpenCV writes it; grey stays grey."""
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)
