"""Pictures as PNG files, which may say how large their pixels are."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _UP = 0, 2, 2
_LEVEL = 2
"""Level 1 takes half the time for a third more bytes, level 3 a third more for a tenth less."""


def encode_png(image: NDArray[np.uint8], pixel_mm_wh: tuple[float, float] | None = None) -> bytes:
    """Encode a picture without loss; the same picture gives the same bytes on the same processor.

    Parameters
    ----------
    image : shape (H, W) grey or (H, W, 3) RGB, uint8, not empty
    pixel_mm_wh : width and height of a pixel, written as pHYs where it is known

    References
    ----------
    W3C, PNG Specification (Third Edition), 5.3 Chunk layout, 9.2 Filter types, 11.2 and 11.3.4.3.
    """
    height, width = image.shape[:2]
    colour = _GREY if image.ndim == 2 else _RGB
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))]
    if pixel_mm_wh is not None:
        per_m = [min(round(1000 / size), 2**31 - 1) for size in pixel_mm_wh]
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", *per_m, 1)))
    chunks.append(_chunk(b"IDAT", zlib_ng.compress(_filtered(image), _LEVEL)))
    return b"".join([_SIGNATURE, *chunks, _chunk(b"IEND", b"")])


def _filtered(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return each row less the one above, behind a byte that says so.

    One filter for all rows takes a third of the time of a choice for each.
    """
    rows = image.reshape(len(image), -1)
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib_ng.crc32(data, zlib_ng.crc32(kind))
    return b"".join([struct.pack(">I", len(data)), kind, data, struct.pack(">I", check)])
