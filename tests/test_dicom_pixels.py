"""Colour, depth and compression of DICOM pictures against pydicom's own and hand-worked values."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, convert_color_space
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from stream.errors import SourceError
from stream.sources.dicom import open_dicom
from stream.sources.dicom_tables import expand_segments
from tests import dicom_files as files

DATA = Path("../shared/data/dicom")
REAL = ["examples_jpeg2k", "examples_rgb_color", "examples_ybr_color", "gdcm-US-ALOKA-16"]
NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def images(path: Path) -> list[NDArray[np.uint8]]:
    reader = open_dicom(str(path))
    try:
        shown = [picture.pixels.to_image() for picture in reader.pictures()]
        assert not any(problem.partial for problem in reader.problems)
        return shown
    finally:
        reader.close()


def largest_difference(seen: Any, expected: Any) -> int:
    return int(np.abs(np.asarray(seen, int) - np.asarray(expected, int)).max())


@pytest.mark.parametrize("name", REAL)
def test_d10_real_files_show_the_same_rgb_as_pydicom(name):
    path = DATA / f"{name}.dcm"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    ds = pydicom.dcmread(path)
    expected = ds.pixel_array
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        expected = apply_color_lut(expected, ds) >> 8
    assert largest_difference(images(path), expected.reshape(-1, *expected.shape[-3:])) <= 2


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("build", [files.grey_frames, files.colour_frames])
def test_native_frames_are_unchanged(tmp_path, syntax, build):
    frames = build(3)
    path = files.save(files.build_dataset(frames, syntax), tmp_path / "a.dcm")
    np.testing.assert_array_equal(images(path), frames)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("build", [files.grey_frames, files.colour_frames])
def test_lossless_compression_gives_back_the_frames(tmp_path, syntax, build):
    frames = build(2)
    ds = files.build_dataset(frames)
    ds.compress(syntax)
    np.testing.assert_array_equal(images(files.save(ds, tmp_path / "a.dcm")), frames)


def test_rle_with_16_bits_keeps_the_upper_8(tmp_path):
    frames = files.grey_frames(1).astype(np.uint16) * 257
    ds = files.build_dataset(frames)
    ds.compress(RLELossless)
    np.testing.assert_array_equal(images(files.save(ds, tmp_path / "a.dcm")), frames >> 8)


def test_jpeg_2000_frames_in_two_fragments_are_put_together(tmp_path):
    frames = files.grey_frames(2)
    ds = files.build_dataset(frames)
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    codes = [cv2.imencode(".jp2", frame, options)[1].tobytes() for frame in frames]
    files.set_fragments(ds, [part for code in codes for part in (code[:100], code[100:])])
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    assert largest_difference(images(files.save(ds, tmp_path / "a.dcm")), frames) <= 2


def test_d10_jpeg_ybr_422_shows_the_same_rgb_as_pydicom(tmp_path):
    path = files.write_jpeg(tmp_path / "a.dcm", files.colour_frames(2))
    ds = pydicom.dcmread(path)
    expected = convert_color_space(pydicom.pixels.pixel_array(ds, raw=True), "YBR_FULL", "RGB")
    assert largest_difference(images(path), expected) <= 2


def test_d10_jpeg_that_holds_rgb_without_markers_stays_rgb(tmp_path):
    frames = np.full((1, 80, 96, 3), (200, 30, 60), np.uint8)
    ds = files.build_dataset(frames)
    files.set_jpeg(ds, frames)
    files.set_fragments(ds, [files.bare_rgb_jpeg(frames[0])])
    path = files.save(files.change(ds, PhotometricInterpretation="RGB"), tmp_path / "a")
    assert largest_difference(images(path), frames) <= 2


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_d10_native_ybr_shows_the_same_rgb_as_pydicom(tmp_path, photometric):
    frames = files.colour_frames(2)
    ds = files.build_dataset(frames)
    if photometric == "YBR_FULL_422":
        luma = frames[..., 0].reshape(2, 80, 48, 2)
        chroma = frames[:, :, ::2, 1:]
        ds.PixelData = np.concatenate([luma, chroma], axis=3).tobytes()
    path = files.save(files.change(ds, PhotometricInterpretation=photometric), tmp_path / "a")
    assert largest_difference(images(path), pydicom.dcmread(path).pixel_array) <= 1


def test_d10_colour_by_plane_shows_the_same_rgb(tmp_path):
    frames = files.colour_frames(2)
    planes = np.moveaxis(frames, 3, 1).tobytes()
    path = files.write_frames(tmp_path / "a", frames, PixelData=planes, PlanarConfiguration=1)
    np.testing.assert_array_equal(images(path), frames)


def palette(bits: int) -> dict[str, Any]:
    levels = np.arange(256) * 257 if bits == 16 else np.arange(256)
    dtype = "<u2" if bits == 16 else "u1"
    curves = {"Red": levels, "Green": levels[::-1], "Blue": levels // 2}
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, curve in curves.items():
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        tags[f"{colour}PaletteColorLookupTableData"] = curve.astype(dtype).tobytes()
    return tags


@pytest.mark.parametrize("bits", [8, 16])
def test_d10_palette_shows_the_same_rgb_as_pydicom(tmp_path, bits):
    path = files.write_frames(tmp_path / "a", files.grey_frames(2), **palette(bits))
    ds = pydicom.dcmread(path)
    expected = apply_color_lut(ds.pixel_array, ds) >> (bits - 8)
    np.testing.assert_array_equal(images(path), expected)


def test_d10_segmented_palette_expands_as_worked_by_hand():
    # discrete 10, 20; linear in 2 steps to 40; the first segment again (byte offset 0)
    words = np.array([0, 2, 10, 20, 1, 2, 40, 2, 1, 0, 0], np.uint16)
    assert expand_segments(words, 6).tolist() == [10, 20, 30, 40, 10, 20]


def test_d10_segmented_palette_that_points_at_itself_ends():
    words = np.array([2, 60000, 0, 0] * 20_000, np.uint16)
    with pytest.raises(ValueError, match="segmented palette"):
        expand_segments(words, 65536)


def test_monochrome1_is_inverted(tmp_path):
    frames = files.grey_frames(1)
    path = files.write_frames(tmp_path / "a", frames, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(images(path), 255 - frames)


def test_twelve_stored_bits_keep_the_upper_8(tmp_path):
    frames = files.grey_frames(1).astype(np.uint16) * 16 + 5
    path = files.write_frames(tmp_path / "a", frames, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(images(path), files.grey_frames(1))


def test_window_maps_its_range_to_0_and_255(tmp_path):
    frames = np.full((1, 80, 96), 50, np.uint8)
    frames[0, 0, :5] = [0, 20, 40, 60, 80]
    # centre 40.5 and width 41 span 20 to 60: 50 lies three quarters up, at 191.25
    path = files.write_frames(tmp_path / "a", frames, WindowCenter="40.5", WindowWidth="41")
    shown = images(path)[0]
    assert shown[0, :5].tolist() == [0, 0, 128, 255, 255]
    assert shown[1, 0] == 191


def test_v13_a_picture_below_64_is_refused(tmp_path):
    path = files.write_frames(tmp_path / "a", files.grey_frames(1, (63, 80)))
    with pytest.raises(SourceError, match=r"\[V13\] a: the picture is 63x80"):
        open_dicom(str(path))


def test_v14_a_picture_above_4096_is_refused_before_it_is_allocated(tmp_path):
    path = files.write_frames(tmp_path / "a", files.grey_frames(1), Rows=65535, Columns=65535)
    tracemalloc.start()
    with pytest.raises(SourceError, match=r"\[V14\]"):
        open_dicom(str(path))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_v14_a_jpeg_larger_than_its_header_says_is_damaged(tmp_path):
    frames = files.grey_frames(1, (640, 640))
    path = files.write_jpeg(tmp_path / "a", frames, Rows=80, Columns=96)
    with pytest.raises(SourceError, match="data damaged"):
        images(path)


def test_v16_pixels_twice_as_wide_as_high_double_the_width(tmp_path):
    path = files.write_frames(tmp_path / "a", files.grey_frames(1), PixelAspectRatio=["1", "2"])
    reader = open_dicom(str(path))
    reader.close()
    assert reader.info.size_wh == (192, 80)
    assert images(path)[0].shape == (80, 192)


def test_v21_a_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"\[V21\].*is a folder"):
        open_dicom(str(tmp_path))


def test_v24_a_file_that_changes_while_read_is_partial(tmp_path):
    path = files.write_frames(tmp_path / "a", files.grey_frames(2))
    reader = open_dicom(str(path))
    with path.open("ab") as file:
        file.write(b"more")
    assert len(list(reader.pictures())) == 2
    reader.close()
    assert [(p.fault, p.partial) for p in reader.problems] == [("V24", True)]


def test_a_volume_is_never_held_whole(tmp_path):
    path = files.write_frames(tmp_path / "a", files.grey_frames(200, (320, 240)))
    reader = open_dicom(str(path))
    tracemalloc.start()
    assert sum(1 for _ in reader.pictures()) == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    reader.close()
    assert peak < 5 * 320 * 240


def test_no_patient_data_in_info_problems_or_errors_of_damaged_files(tmp_path):
    good = files.write_jpeg(tmp_path / "good", files.colour_frames(2)).read_bytes()
    rng, path, texts = np.random.default_rng(5), tmp_path / "bad", []
    for _ in range(300):
        data = np.frombuffer(good, np.uint8).copy()
        data[rng.integers(132, 1400, 4)] = rng.integers(0, 256, 4)
        path.write_bytes(data.tobytes())
        try:
            reader = open_dicom(str(path))
        except SourceError as error:
            texts.append(str(error))
            continue
        texts += [str(reader.info), str(reader.problems)]
        reader.close()
    assert not any("lanted" in text or "PLANTED" in text for text in texts)
