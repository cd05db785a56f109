"""From the bytes of one still image to a picture."""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.pixels import Pixels
from stream.errors import SourceError
from stream.sources.video_checks import check_size

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
_ORIENTATION_TAG = 0x0112
_HEADER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
)
_PNM_HEADER = re.compile(rb"P[2356]\s(?:\s|#.*\n)*\d+\s(?:\s|#.*\n)*\d+\s(?:\s|#.*\n)*(\d+)\s")
_PNM_WHITES = (b"255", b"65535")


@dataclass(frozen=True, slots=True)
class ImageHead:
    """What the header of an image says, checked against the size limits.

    Parameters
    ----------
    format : such as "PNG"
    size_wh : width and height, upright
    turn : EXIF orientation that the decoder leaves to us, 1 to 8
    grey : True when the colours hold grey, with or without alpha
    pages : pictures in the file
    """

    format: str
    size_wh: tuple[int, int]
    turn: int
    grey: bool
    pages: int


def read_head(data: bytes, name: str) -> ImageHead:
    """Read the header of an image; nothing is decoded.

    Raises
    ------
    SourceError
        V01 empty, V02 not an image, V13 too small, V14 too large, V15 an unusual white level.

    References
    ----------
    EXIF 2.32 section 4.6.4, tag 0112; Netpbm formats pgm(5) and ppm(5).
    """
    if not data:
        raise SourceError(name, "the file is empty", "export the image again", fault="V01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                check_size(*image.size, name)
                head = _describe(image)
        except Image.DecompressionBombError as error:
            raise SourceError(name, "the picture is far too large", fault="V14") from error
        except _HEADER_ERRORS as error:
            remedy = f"expected {', '.join(_FORMATS)}"
            raise SourceError(name, "not an image", remedy, fault="V02") from error
    white = _PNM_HEADER.match(data[:1024]) if head.format == "PPM" else None
    if white and white[1] not in _PNM_WHITES:
        problem = f"white is {int(white[1][:6])}"
        raise SourceError(name, problem, "expected 255 or 65535", fault="V15")
    return head


def decode_image(data: bytes, head: ImageHead, name: str) -> tuple[Pixels, bool]:
    """Decode an image as grey or RGB with 8 bits, upright, on black where it is transparent.

    Of 16 bits the upper 8 are kept.

    Returns
    -------
    the picture, and whether its depth was reduced

    Raises
    ------
    SourceError
        V07 the data are damaged or cut, V15 the samples are not integers of 8 or 16 bits.
    """
    if head.format == "PNG" and not _png_chunks_fit(data):
        raise SourceError(name, "data damaged or cut", "export the image again", fault="V07")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise SourceError(name, "data damaged or cut", "export the image again", fault="V07")
    if image.dtype not in (np.uint8, np.uint16):
        raise SourceError(name, f"{image.dtype} samples", "expected 8 or 16 bits", fault="V15")
    deep = image.dtype == np.uint16
    levels = (image.astype(np.uint16) >> 8).astype(np.uint8) if deep else image
    shown = _upright(_colour(levels, head), head.turn)
    if shown.shape[1::-1] != head.size_wh:
        raise SourceError(name, "data damaged: the size is not the header's", fault="V07")
    return Pixels((np.ascontiguousarray(shown),)), deep


def _describe(image: Image.Image) -> ImageHead:
    # The method of PNG images would decode the picture to look for a late EXIF chunk.
    turn = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    # Pillow and OpenCV both turn TIFF upright by themselves.
    turn = turn if turn in range(2, 9) and image.format != "TIFF" else 1
    size_wh = image.size[::-1] if turn >= 5 else image.size
    grey, pages = image.mode == "LA", getattr(image, "n_frames", 1)
    return ImageHead(image.format or "", size_wh, turn, grey, pages)


def _png_chunks_fit(data: bytes) -> bool:
    """Say whether every chunk up to IEND lies inside the data; OpenCV allocates what one claims."""
    position = 8
    while position + 12 <= len(data):
        kind = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4])
        if kind == b"IEND":
            return position <= len(data)
    return False


def _colour(image: NDArray[Any], head: ImageHead) -> NDArray[Any]:
    """Turn what OpenCV decoded, uint8 with 1, 3 or 4 channels, into grey or RGB."""
    if image.ndim == 2:
        return image
    colours = image[:, :, 0] if head.grey else image[:, :, 2::-1]
    if image.shape[2] == 3:
        return colours
    alpha = image[:, :, 3].astype(np.uint16)
    weights = alpha if head.grey else alpha[:, :, None]
    return ((colours * weights + 127) // 255).astype(np.uint8)


def _upright(image: NDArray[Any], turn: int) -> NDArray[Any]:
    if turn >= 5:
        image = image.swapaxes(0, 1)
    if turn in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image[::-1] if turn in (3, 4, 7, 8) else image
