import dataclasses
import struct
import zlib

import cv2
import numpy as np
import pytest

from stream.report.png import encode_panel
from stream.report.sheet import Sheet, Style
from tests.report_content import build_content


def chunks(data):
    """Return [(type, body)] of a PNG after checking every checksum."""
    place, found = 8, []
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(kind + body)
        found.append((kind, body))
        place += 12 + length
    return found


def panel(index=0, **options):
    content = build_content(**options)
    return encode_panel(content, content.key_frames[index])


def decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_panel_says_600_dpi_before_its_pixels():
    kinds = chunks(panel(size_wh=(160, 120)))
    assert struct.unpack(">IIB", dict(kinds)[b"pHYs"]) == (23622, 23622, 1)
    order = [kind for kind, _ in kinds]
    assert order.index(b"pHYs") < order.index(b"IDAT")
    assert b"tEXt" not in order
    assert b"tIME" not in order


@pytest.mark.parametrize("size_wh", [(640, 480), (300, 700), (1400, 300), (64, 64)])
def test_panel_is_160_by_94_mm_for_every_shape_of_frame(size_wh):
    data = panel(size_wh=size_wh)
    assert decode(data).shape == (2220, 3780, 3)
    assert len(data) < 6_000_000


def test_panel_of_a_4096_px_frame_stays_below_6_mb():
    content = build_content(size_wh=(1024, 1024), keys=1)
    key = content.key_frames[0]
    image, saliency = np.tile(key.image, (4, 4)), np.tile(key.saliency, (4, 4))
    huge = dataclasses.replace(key, image=image, saliency=saliency)
    assert len(encode_panel(content, huge)) < 6_000_000


@pytest.mark.parametrize("count", [3, 8, 12])
def test_v23_long_names_leave_the_margins_white(count):
    names = tuple(f"a finding with a very long name {index}" for index in range(count))
    name = "<b>\"'\n\udcff 中文 " * 30
    image = decode(panel(size_wh=(64, 64), classes=names, clip_name=name, has_time=False))
    for margin in (image[:, :130], image[:, 3660:], image[:60], image[2180:]):
        assert margin.min() == 255


def test_frame_pixels_are_printed_as_blocks_without_new_values():
    image = decode(panel(size_wh=(64, 64)))
    original = image[500:1400, 500:1400, 0]
    frame = build_content(size_wh=(64, 64)).key_frames[0].image
    assert set(np.unique(original)) <= set(np.unique(frame))


def test_text_that_fits_is_left_alone_and_longer_text_keeps_its_end():
    sheet, style = Sheet((50.0, 10.0)), Style(3.0)
    assert sheet.fit("scan.mp4", style, 40.0) == "scan.mp4"
    short = sheet.fit("kidney_left_longitudinal_0001.mp4", style, 30.0, keep_end=8)
    assert short.startswith("kidney")
    assert short.endswith("…0001.mp4")
    assert sheet.measure(short, style) <= 30.0


def test_wrapped_lines_keep_every_word_when_there_is_room():
    sheet, style = Sheet((50.0, 10.0)), Style(3.0)
    text = "high probability that lasts for many frames"
    lines = sheet.wrap(text, style, 40.0, 3)
    assert " ".join(lines) == text
    assert all(sheet.measure(line, style) <= 40.0 for line in lines)
