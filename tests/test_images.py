"""Folders of stills: order, conversions, and everything that must not pass in silence."""

from __future__ import annotations

import hashlib
import os
import resource
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from stream.errors import SourceError
from stream.sources.base import Problem
from stream.sources.images import open_images

REAL = Path("../shared/data/pocus_lung/frames/regular")
SIZE_WH = (96, 80)


def grey(level: int = 100) -> NDArray[np.uint8]:
    image = np.full(SIZE_WH[::-1], level, np.uint8)
    image[:10, :20] = 255 - level
    return image


def write(path: Path, image: NDArray[np.generic]) -> Path:
    bgr = image[:, :, ::-1] if image.ndim == 3 and image.shape[2] == 3 else image
    path.write_bytes(cv2.imencode(path.suffix.lower(), np.ascontiguousarray(bgr))[1].tobytes())
    return path


def read(path: Path) -> tuple[list[NDArray[np.uint8]], tuple[Problem, ...]]:
    reader = open_images(str(path))
    shown = [picture.pixels.to_image() for picture in reader.pictures()]
    reader.close()
    return shown, reader.problems


def refusal(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(path)
    return caught.value


def png_without_pixels(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    head = struct.pack(">L", 13) + body + struct.pack(">L", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + head + struct.pack(">L", 100) + b"IDAT" + bytes(104)


def test_real_stills_are_all_read():
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent")
    names = sorted(REAL.iterdir())[:3]
    for name in names:
        shown, problems = read(name)
        assert shown[0].shape[:2] == cv2.imread(str(name)).shape[:2]
        assert problems == ()


def test_img2_comes_before_img10_whatever_the_case(tmp_path):
    for number, name in enumerate(["img10.png", "IMG2.png", "img1.PNG"]):
        write(tmp_path / name, grey(10 * number))
    assert [int(image[-1, -1]) for image in read(tmp_path)[0]] == [20, 10, 0]


def test_stills_have_no_clock(tmp_path):
    reader = open_images(str(write(tmp_path / "a.png", grey())))
    assert [picture.pts_ns for picture in reader.pictures()] == [None]
    assert (reader.info.rate_hz, reader.info.frame_count) == (None, 1)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".pgm", ".webp", ".jpg"])
def test_every_format_is_read(tmp_path, suffix):
    shown, problems = read(write(tmp_path / f"a{suffix}", grey()))
    grey_shown = shown[0] if shown[0].ndim == 2 else shown[0][:, :, 0]
    assert abs(int(grey_shown[-1, -1]) - 100) <= 1
    assert problems == ()


def test_grey_stays_grey_and_colour_is_rgb(tmp_path):
    colour = np.full((*SIZE_WH[::-1], 3), (200, 100, 50), np.uint8)
    assert read(write(tmp_path / "g.png", grey()))[0][0].shape == (80, 96)
    assert read(write(tmp_path / "c.png", colour))[0][0][0, 0].tolist() == [200, 100, 50]


def test_v15_sixteen_bits_keep_the_upper_8_with_a_warning(tmp_path):
    deep = grey().astype(np.uint16) * 256 + 255
    shown, problems = read(write(tmp_path / "a.png", deep))
    np.testing.assert_array_equal(shown[0], grey())
    assert [(p.fault, p.partial) for p in problems] == [("V15", False)]
    assert "a.png" in problems[0].text


def test_v15_transparent_parts_lie_on_black(tmp_path):
    image = np.full((80, 96, 4), (10, 100, 200, 51), np.uint8)  # BGRA, one fifth opaque
    assert read(write(tmp_path / "a.png", image))[0][0][0, 0].tolist() == [40, 20, 2]


def test_v15_palette_images_become_rgb(tmp_path):
    image = Image.new("P", SIZE_WH, 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.save(tmp_path / "a.png")
    assert read(tmp_path)[0][0][0, 0].tolist() == [200, 100, 50]


def test_v15_float_samples_and_odd_white_levels_are_refused(tmp_path):
    write(tmp_path / "a.tif", grey().astype(np.float32))
    (tmp_path / "b.pgm").write_bytes(b"P5 96 80 1023\n" + bytes(2 * 96 * 80))
    write(tmp_path / "c.png", grey())
    shown, problems = read(tmp_path)
    assert len(shown) == 1
    assert problems[0].partial
    assert problems[0].text.endswith(": a.tif (float32 samples), b.pgm (white is 1023)")


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_v16_exif_orientation_6_is_turned_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((80, 96, 3), np.uint8)
    stored[:40, :48] = 255  # its left upper corner is shown on the right upper one
    path = tmp_path / f"a.{suffix.lower()}"
    Image.fromarray(stored).save(path, suffix, exif=exif)
    reader = open_images(str(path))
    image = next(reader.pictures()).pixels.to_image()
    assert reader.info.size_wh == (80, 96)
    assert [int(image[10, 70, 0]) > 200, int(image[10, 10, 0]) < 50] == [True, True]


@pytest.mark.parametrize("turn", range(1, 9))
def test_v16_every_exif_orientation_equals_pillow(tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = np.random.default_rng(turn).integers(0, 256, (80, 96, 3), dtype=np.uint8)
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read(tmp_path)[0][0], expected)


def test_a_folder_digest_covers_names_and_contents_in_order(tmp_path):
    first, second = write(tmp_path / "2.png", grey(1)), write(tmp_path / "10.png", grey(2))
    lines = [
        path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).hexdigest().encode() + b"\n"
        for path in (first, second)
    ]
    assert open_images(str(tmp_path)).info.sha256 == hashlib.sha256(b"".join(lines)).hexdigest()


def test_v01_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert "error[V01]" in str(refusal(tmp_path))


def test_v01_empty_image_file_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert refusal(tmp_path / "a.png").fault == "V01"


def test_v02_other_entries_are_skipped_with_a_warning(tmp_path):
    write(tmp_path / "a.png", grey())
    write(tmp_path / ".hidden.png", grey())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    shown, problems = read(tmp_path)
    assert len(shown) == 1
    assert problems[0].text == "3 entries are no images: .hidden.png, folder, notes.txt"
    assert not problems[0].partial


def test_v02_the_content_decides_and_not_the_name(tmp_path):
    write(tmp_path / "a.jpg", grey()).rename(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("this is text")
    shown, problems = read(tmp_path)
    assert len(shown) == 1
    assert (problems[0].fault, problems[0].partial) == ("V02", True)
    assert "b.png (not an image)" in problems[0].text


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".pgm"])
def test_v07_a_cut_image_is_left_out_and_named(tmp_path, suffix):
    noise = np.random.default_rng(3).integers(0, 256, (80, 96), dtype=np.uint8)
    cut = write(tmp_path / f"cut{suffix}", noise)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 3 // 4])
    write(tmp_path / "good.png", grey())
    shown, problems = read(tmp_path)
    assert len(shown) == 1
    assert problems[0].partial
    assert f"cut{suffix}" in problems[0].text


def test_v07_a_png_chunk_longer_than_the_file_is_not_allocated(tmp_path):
    path = write(tmp_path / "a.png", grey())
    data = path.read_bytes()
    place = data.index(b"IDAT") - 4
    path.write_bytes(data[:place] + struct.pack(">L", 0x7FFFFFF0) + data[place + 4 :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(path).fault == "V07"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_v07_a_folder_of_only_damaged_images_is_refused(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png_without_pixels(96, 80))
    assert "a.png (data damaged or cut), b.png" in str(refusal(tmp_path))


def test_v12_further_pages_are_reported(tmp_path):
    pages = [Image.fromarray(grey(level)) for level in (1, 2, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    shown, problems = read(tmp_path)
    assert len(shown) == 1
    assert problems[0].partial
    assert "a.tif (the first of 3 pages is used)" in problems[0].text


def test_v13_a_picture_below_64_is_refused(tmp_path):
    error = refusal(write(tmp_path / "a.png", grey()[:63]))
    assert (error.fault, error.problem) == ("V13", "the picture is 96x63")


@pytest.mark.parametrize("side", [4097, 65535])
def test_v14_a_huge_image_is_refused_before_it_is_allocated(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png_without_pixels(side, side))
    tracemalloc.start()
    assert refusal(tmp_path / "a.png").fault == "V14"
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_v17_pictures_of_different_sizes_are_all_read(tmp_path):
    write(tmp_path / "a.png", grey())
    write(tmp_path / "b.png", np.zeros((64, 128), np.uint8))
    assert [image.shape for image in read(tmp_path)[0]] == [(80, 96), (64, 128)]


def test_v21_links_out_of_the_folder_are_refused(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    write(inside / "a.png", grey())
    (inside / "b.png").symlink_to(inside / "a.png")
    (inside / "c.png").symlink_to(write(tmp_path / "secret.png", grey()))
    shown, problems = read(inside)
    assert len(shown) == 2
    assert problems[0].fault == "V21"
    assert "c.png (a link that leads out of the folder)" in problems[0].text


def test_v21_pipes_and_broken_or_looping_links_are_refused(tmp_path):
    write(tmp_path / "a.png", grey())
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "d.png").symlink_to(tmp_path / "d.png")
    shown, problems = read(tmp_path)
    assert len(shown) == 1
    assert all(name in problems[0].text for name in ("b.png (is a pipe", "c.png (", "d.png ("))


def test_v23_names_with_line_breaks_stay_on_one_line(tmp_path):
    (tmp_path / "a\nb%05d\udce9.png").write_bytes(b"junk")
    write(tmp_path / "-ü.png", grey())
    shown, problems = read(tmp_path)
    assert len(shown) == 1
    assert "a?b%05d?.png" in problems[0].text


def test_v24_an_image_that_changes_while_the_folder_is_read_is_left_out(tmp_path):
    write(tmp_path / "a.png", grey(1))
    write(tmp_path / "b.png", grey(2))
    reader = open_images(str(tmp_path))
    write(tmp_path / "b.png", grey(3))
    assert len(list(reader.pictures())) == 1
    assert [(p.fault, p.partial) for p in reader.problems] == [("V24", True)]


def test_random_damage_gives_pictures_or_one_clear_error(tmp_path):
    rng = np.random.default_rng(11)
    for suffix in (".png", ".jpg", ".bmp", ".tif", ".webp", ".pgm"):
        good = np.frombuffer(write(tmp_path / f"a{suffix}", grey()).read_bytes(), np.uint8)
        for _ in range(40):
            bad = good.copy()
            bad[rng.integers(0, min(bad.size, 200), 3)] = rng.integers(0, 256, 3)
            (tmp_path / f"a{suffix}").write_bytes(bad.tobytes())
            try:
                read(tmp_path / f"a{suffix}")
            except SourceError as error:
                assert error.fault in ("V01", "V02", "V07", "V13", "V14", "V15")
