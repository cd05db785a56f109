"""Pictures as PNG files, which may say how large their pixels are."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 8 + 4 + 4 + 13 + 4
_OPTIONS = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 2),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
)
"""One filter for all rows takes a third of the time of a choice for each; beyond level 3 a panel
takes three times as long for 4 % less."""


def encode_png(image: NDArray[np.uint8], pixel_mm_wh: tuple[float, float] | None = None) -> bytes:
    """Encode a picture without loss; the same picture gives the same bytes.

    Parameters
    ----------
    image : shape (H, W) grey or (H, W, 3) RGB, uint8, not empty
    pixel_mm_wh : width and height of a pixel, written as pHYs where it is known

    References
    ----------
    W3C, PNG Specification (Third Edition), 5.3 Chunk layout and 11.3.4.3 pHYs.
    """
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", bgr, _OPTIONS)
    assert done, "OpenCV encodes every uint8 picture"
    data = encoded.tobytes()
    if pixel_mm_wh is None:
        return data
    per_m = [min(round(1000 / size), 2**31 - 1) for size in pixel_mm_wh]
    body = b"pHYs" + struct.pack(">IIB", *per_m, 1)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:_HEADER_BYTES] + chunk + data[_HEADER_BYTES:]
