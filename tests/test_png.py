"""Facts about PNG files: what others read from them is what was put in."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from stream.png import encode_png


def picture(*shape):
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 48), (1, 1, 3), (33, 21, 3), (480, 640, 3)])
def test_opencv_and_pillow_read_the_same_picture(shape):
    image = picture(*shape)
    data = encode_png(image)
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found if found.ndim == 2 else found[..., ::-1], image)
    with Image.open(io.BytesIO(data)) as opened:
        assert np.array_equal(np.asarray(opened), image)


def test_a_view_of_a_picture_is_encoded_as_it_looks():
    image = picture(40, 60, 3)[::-2, 3:50:3]
    with Image.open(io.BytesIO(encode_png(image))) as opened:
        assert np.array_equal(np.asarray(opened), image)


def test_the_size_of_pixels_is_told_in_pixels_a_metre():
    data = encode_png(picture(2, 2), (0.5, 25.4 / 600))
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.info["dpi"] == pytest.approx((2000 * 0.0254, 600), rel=1e-4)


def test_a_grey_picture_of_two_rows_is_what_the_specification_says():
    data = encode_png(np.array([[1, 2], [4, 1]], np.uint8))
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    assert data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + header)
    assert data[29:33] == struct.pack(">I", zlib.crc32(b"IHDR" + header))
    size = int.from_bytes(data[33:37])
    assert data[37:41] == b"IDAT"
    assert zlib.decompress(data[41 : 41 + size]) == bytes([2, 1, 2, 2, 3, 255])
    assert data.endswith(b"\0\0\0\0IEND\xaeB`\x82")
