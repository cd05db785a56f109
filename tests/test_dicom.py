"""Damaged, lying and foreign DICOM files, and the clock."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    MPEG4HP41,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    JPEGLosslessSV1,
    MediaStorageDirectoryStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from stream.errors import SourceError
from stream.sources.base import Picture, Problem
from stream.sources.dicom import open_dicom
from tests import dicom_files as files

REAL_LOOP = Path("../shared/data/dicom/examples_ybr_color.dcm")


def read(path: Path) -> tuple[list[Picture], tuple[Problem, ...]]:
    reader = open_dicom(str(path))
    try:
        return list(reader.pictures()), reader.problems
    finally:
        reader.close()


def refusal(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(path)
    return caught.value


def good_bytes(folder: Path, count: int = 4) -> bytes:
    return files.write_frames(folder / "good.dcm", files.grey_frames(count)).read_bytes()


def test_real_loop_has_30_frames_33_333_ms_apart():
    if not REAL_LOOP.exists():
        pytest.skip(f"{REAL_LOOP} is absent")
    pictures, problems = read(REAL_LOOP)
    assert [p.pts_ns for p in pictures] == [33_333_000 * i for i in range(30)]
    assert problems == ()


def test_info_names_class_syntax_and_colour(tmp_path):
    path = files.write_frames(tmp_path / "a.dcm", files.grey_frames(3))
    reader = open_dicom(str(path))
    reader.close()
    assert reader.info.detail == (
        "Ultrasound Multi-frame Image Storage, Explicit VR Little Endian, MONOCHROME2"
    )
    assert (reader.info.size_wh, reader.info.rate_hz, reader.info.frame_count) == ((96, 80), 25, 3)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 128, bytes(range(256)) * 9, b"\0" * 128 + b"DICX"]
)
def test_d01_empty_preamble_only_random_and_wrong_prefix_are_not_dicom(tmp_path, content):
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    assert str(refusal(path)) == "error[D01] x.dcm: not DICOM: no DICM prefix; give a DICOM file"


@pytest.mark.parametrize("length", [133, 150, 300, 480])
def test_d02_cut_in_header_is_refused(tmp_path, length):
    path = tmp_path / "cut.dcm"
    path.write_bytes(good_bytes(tmp_path)[:length])
    assert refusal(path).fault == "D02"


def test_d02_cut_in_native_pixels_keeps_whole_frames(tmp_path):
    path = tmp_path / "cut.dcm"
    path.write_bytes(good_bytes(tmp_path)[:-8000])  # a frame has 7680 bytes
    pictures, problems = read(path)
    assert len(pictures) == 2
    assert problems[0].fault == "D02"
    assert problems[0].partial


def test_d02_cut_in_jpeg_pixels_keeps_whole_frames(tmp_path):
    path = files.write_jpeg(tmp_path / "cut.dcm", files.grey_frames(4))
    path.write_bytes(path.read_bytes()[:-100])
    pictures, problems = read(path)
    assert len(pictures) == 3
    assert (problems[0].fault, problems[0].partial) == ("D02", True)
    assert "4 frames declared, 3 present" in problems[0].text


@pytest.mark.parametrize("tag", [0x00281201, 0x7FE00010])
def test_d03_length_of_4_gib_is_refused_without_allocating_it(tmp_path, tag):
    path, data = tmp_path / "long.dcm", good_bytes(tmp_path)
    lie = files.element(tag, "OW", b"", 0xFFFFFFF0)
    path.write_bytes(files.insert_before_rows(data, lie) if tag < 0x7FE00010 else patched(data))
    tracemalloc.start()
    assert refusal(path).fault == "D03"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def patched(data: bytes) -> bytes:
    place = data.index(struct.pack("<HH", 0x7FE0, 0x0010) + b"OB") + 8
    return data[:place] + struct.pack("<L", 0xFFFFFFF0) + data[place + 4 :]


def test_d03_fragment_of_4_gib_is_refused(tmp_path):
    path = files.write_jpeg(tmp_path / "a.dcm", files.grey_frames(2))
    data = path.read_bytes()
    place = data.index(b"\xff\xd8\xff") - 4
    path.write_bytes(data[:place] + struct.pack("<L", 0xFFFFFFF0) + data[place + 4 :])
    assert refusal(path).fault == "D03"


@pytest.mark.parametrize("depth", [50, 200, 5000])
@pytest.mark.parametrize("defined", [True, False])
def test_d04_sequences_deeper_than_32_are_refused(tmp_path, depth, defined):
    path, bomb = tmp_path / "deep.dcm", files.nested(depth, defined=defined)
    path.write_bytes(files.insert_before_rows(good_bytes(tmp_path), bomb))
    assert refusal(path).fault == "D04"


@pytest.mark.parametrize("defined", [True, False])
def test_d04_sequences_32_deep_are_read(tmp_path, defined):
    path, deep = tmp_path / "deep.dcm", files.nested(32, defined=defined)
    path.write_bytes(files.insert_before_rows(good_bytes(tmp_path), deep))
    assert len(read(path)[0]) == 4


def test_d05_deflated_bomb_is_refused(tmp_path):
    ds = files.build_dataset(files.grey_frames(1), DeflatedExplicitVRLittleEndian)
    path = files.save(ds, tmp_path / "bomb.dcm")
    start = path.read_bytes().index(DeflatedExplicitVRLittleEndian.encode()) + 22
    squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = files.element(0x00091001, "OB", b"", 64 << 20) + bytes(64 << 20)
    bomb = squeeze.compress(zeros) + squeeze.flush()
    assert len(zeros) > 900 * len(bomb)
    path.write_bytes(path.read_bytes()[:start] + bomb)
    assert refusal(path).fault == "D05"


def test_d05_rle_bomb_is_refused_before_decoding(tmp_path):
    ds = files.build_dataset(files.grey_frames(1))
    ds.compress(RLELossless)
    bomb = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\xff" * 500_000
    files.set_fragments(ds, [bomb])
    error = refusal(files.save(ds, tmp_path / "bomb.dcm"))
    assert error.fault == "D05"
    assert "1000064 bytes" in error.problem


@pytest.mark.parametrize("declared", ["1000", "0", "-3", None, str(2**31)])
@pytest.mark.parametrize("write", [files.write_frames, files.write_jpeg])
def test_d06_wrong_frame_count_uses_the_10_present_frames(tmp_path, declared, write):
    ds_path = write(tmp_path / "a.dcm", files.grey_frames(10), NumberOfFrames=declared)
    pictures, problems = read(ds_path)
    assert len(pictures) == 10
    assert problems[0].text == f"{declared or 'none'} frames declared, 10 present"
    assert problems[0].partial


def test_d06_a_single_frame_needs_no_frame_count(tmp_path):
    path = files.write_frames(tmp_path / "a.dcm", files.grey_frames(1), NumberOfFrames=None)
    assert read(path)[1] == ()


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({"Rows": 0}, "Rows is 0, allowed 1 to 65535"),
        ({"Columns": None}, "Columns is absent, allowed 1 to 65535"),
        ({"BitsAllocated": 12}, "BitsAllocated is 12, allowed 8, or 16 for grey"),
        ({"BitsStored": 9}, "BitsStored is 9, allowed 1 to 8"),
        ({"SamplesPerPixel": 2}, "SamplesPerPixel is 2, allowed 1 or 3"),
        (
            {"PhotometricInterpretation": "CMYK"},
            "PhotometricInterpretation is CMYK, allowed MONOCHROME1, MONOCHROME2, PALETTE COLOR",
        ),
    ],
)
def test_d07_wrong_tag_is_named_with_value_and_allowed_values(tmp_path, tags, text):
    error = refusal(files.write_frames(tmp_path / "a.dcm", files.grey_frames(2), **tags))
    assert error.fault == "D07"
    assert text in error.problem


def test_d08_unknown_transfer_syntax_is_named(tmp_path):
    path, data = tmp_path / "a.dcm", good_bytes(tmp_path)
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))
    assert "unknown transfer syntax 1.2.840.10008.9.9.9" in str(refusal(path))


@pytest.mark.parametrize("syntax", [MPEG4HP41, JPEGLosslessSV1])
def test_d08_missing_decoder_is_told_apart_from_damage(tmp_path, syntax):
    ds = files.build_dataset(files.grey_frames(1))
    files.set_fragments(ds, [b"\xff\xd8 something "])
    ds.file_meta.TransferSyntaxUID = syntax
    error = refusal(files.save(ds, tmp_path / "a.dcm"))
    assert (error.fault, error.problem[:16]) == ("D08", "decoder missing ")


def test_d08_junk_fragments_are_damaged_data(tmp_path):
    ds = files.build_dataset(files.grey_frames(2))
    files.set_jpeg(ds, files.grey_frames(2))
    files.set_fragments(ds, [b"junk" * 50, b"more" * 50])
    assert "data damaged" in str(refusal(files.save(ds, tmp_path / "a.dcm")))


def test_d08_one_junk_fragment_leaves_the_other_frames_at_their_time(tmp_path):
    path = files.write_jpeg(tmp_path / "a.dcm", files.grey_frames(3))
    data = path.read_bytes()
    second = data.index(b"\xff\xd8\xff", data.index(b"\xff\xd8\xff") + 1)
    path.write_bytes(data[:second] + b"junk" + data[second + 4 :])
    pictures, problems = read(path)
    assert [p.pts_ns for p in pictures] == [0, 80_000_000]
    assert problems[0].text.startswith("1 of 3 frames damaged: frame 2 ")
    assert problems[0].partial


def test_d08_too_few_fragments_is_partial(tmp_path):
    path = files.write_jpeg(tmp_path / "a.dcm", files.grey_frames(2), NumberOfFrames=5)
    pictures, problems = read(path)
    assert len(pictures) == 2
    assert (problems[0].fault, problems[0].partial) == ("D08", True)


@pytest.mark.parametrize("frame_time", ["0", "-33.3", None, "", "1e99"])
def test_d09_unusable_frame_time_is_a_warning(tmp_path, frame_time):
    path = files.write_frames(tmp_path / "a.dcm", files.grey_frames(3), FrameTime=frame_time)
    pictures, problems = read(path)
    assert [p.pts_ns for p in pictures] == [None] * 3
    assert [(p.fault, p.partial) for p in problems] == [("D09", False)]
    assert "time unknown" in problems[0].text


@pytest.mark.parametrize(
    ("tags", "times_ns"),
    [
        ({"FrameTime": "33.3667"}, [0, 33_366_700, 66_733_400]),
        ({"FrameTimeVector": ["0", "10.5", "20"]}, [0, 10_500_000, 30_500_000]),
        ({"CineRate": "30"}, [0, 33_333_333, 66_666_667]),
        ({"RecommendedDisplayFrameRate": "50"}, [0, 20_000_000, 40_000_000]),
    ],
)
def test_times_come_from_the_first_clock_present(tmp_path, tags, times_ns):
    tags = {"FrameTime": None} | tags
    pictures, problems = read(files.write_frames(tmp_path / "a", files.grey_frames(3), **tags))
    assert [p.pts_ns for p in pictures] == times_ns
    assert problems == ()


@pytest.mark.parametrize("uid", [CTImageStorage, EncapsulatedPDFStorage])
def test_d11_other_objects_are_named_with_the_accepted_classes(tmp_path, uid):
    error = refusal(files.write_frames(tmp_path / "a", files.grey_frames(1), SOPClassUID=uid))
    assert error.fault == "D11"
    assert uid.name in error.problem
    assert "Ultrasound Image Storage" in error.remedy


def test_d11_ultrasound_without_pixels_is_refused(tmp_path):
    path = files.write_frames(tmp_path / "a", files.grey_frames(1), PixelData=None)
    assert (refusal(path).fault, "without pixel data" in str(refusal(path))) == ("D11", True)


def test_d11_secondary_capture_is_accepted(tmp_path):
    uid = SecondaryCaptureImageStorage
    path = files.write_frames(tmp_path / "a", files.grey_frames(1), SOPClassUID=uid)
    assert len(read(path)[0]) == 1


def test_d12_executable_preamble_and_trailing_bytes_are_harmless(tmp_path):
    data = good_bytes(tmp_path)
    path = tmp_path / "a.dcm"
    path.write_bytes(b"\x7fELF" + data[4:] + b"trailing bytes" * 9)
    pictures, problems = read(path)
    assert (len(pictures), problems) == (4, ())


def test_d12_directory_file_is_refused(tmp_path):
    ds = Dataset()
    ds.file_meta = files.build_dataset(files.grey_frames(1)).file_meta
    ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.FileSetID = "OUTSIDE"
    assert refusal(files.save(ds, tmp_path / "DICOMDIR")).fault == "D12"
