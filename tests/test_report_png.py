import dataclasses
import struct
import zlib

import cv2
import numpy as np
import pytest

from stream.report.plain import encode_frame, encode_map
from stream.report.png import draw_panel
from stream.report.scale_bar import choose_bar
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
    return draw_panel(content, content.key_frames[index]).encode_png()


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
    assert len(draw_panel(content, huge).encode_png()) < 6_000_000


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


def spaced(spacing, **options):
    return dataclasses.replace(build_content(**options), pixel_spacing_mm=spacing)


@pytest.mark.parametrize(
    ("spacing", "width_px", "length_mm", "share"),
    [
        ((0.2, 0.2), 640, 50, 50 / 128),
        ((0.2, 0.15), 640, 20, 20 / 96),
        ((0.1, 0.05), 320, 5, 5 / 16),
        ((0.01, 0.01), 320, None, None),
        (None, 640, None, None),
    ],
)
def test_scale_bar_is_the_longest_that_takes_at_most_two_fifths(
    spacing, width_px, length_mm, share
):
    bar = choose_bar(spaced(spacing, size_wh=(64, 64), keys=0), width_px)
    assert (bar and bar.length_mm, bar and bar.share) == (length_mm, share and pytest.approx(share))


def test_scale_bar_on_the_panel_has_its_length():
    content = spaced((0.2, 0.2), size_wh=(640, 480))
    data = decode(draw_panel(content, content.key_frames[0]).encode_png())
    row = data[round((16.5 + 50 + 2.5) * 600 / 25.4), : round(72.7 * 600 / 25.4)]
    dark = np.flatnonzero(row.max(axis=1) < 60)
    longest = max(np.split(dark, np.flatnonzero(np.diff(dark) > 1) + 1), key=len)
    drawn_width_px = 66.6 * 600 / 25.4  # 640 x 480 fills the width of 66.6 mm, up to a pixel
    assert len(longest) == pytest.approx(50 / (0.2 * 640) * drawn_width_px, abs=3)


def test_panel_without_spacing_has_no_scale_bar():
    content = build_content(size_wh=(640, 480))
    data = decode(draw_panel(content, content.key_frames[0]).encode_png())
    row = data[round((16.5 + 50 + 2.5) * 600 / 25.4), round(40 * 600 / 25.4) : 1700]
    assert row.min() == 255


def test_plain_frame_has_every_pixel_of_the_source():
    content = build_content(size_wh=(160, 120))
    key = content.key_frames[0]
    data = cv2.imdecode(np.frombuffer(encode_frame(content, key), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(data, key.image)


def test_plain_map_is_255_at_full_scale_and_0_where_nothing_is():
    content = build_content(size_wh=(160, 120))
    levels = np.zeros((120, 160), np.float32)
    levels[10, 20], levels[11, 20], levels[12, 20], levels[13, 20] = 1.0, 0.5, np.nan, 2.0
    key = dataclasses.replace(content.key_frames[0], saliency=levels)
    data = cv2.imdecode(np.frombuffer(encode_map(content, key), np.uint8), cv2.IMREAD_UNCHANGED)
    assert data.shape == (120, 160)
    assert data[9:15, 20].tolist() == [0, 255, 128, 0, 255, 0]


def test_plain_frame_tells_the_size_of_its_pixels_where_it_is_known():
    content = spaced((0.25, 0.2), size_wh=(160, 120))
    found = dict(chunks(encode_frame(content, content.key_frames[0])))
    assert struct.unpack(">IIB", found[b"pHYs"]) == (5000, 4000, 1)
    unknown = build_content(size_wh=(160, 120))
    assert b"pHYs" not in dict(chunks(encode_frame(unknown, unknown.key_frames[0])))
