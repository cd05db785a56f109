"""Facts about the millimetres of a DICOM picture: from regions, from PixelSpacing, or unknown."""

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from stream.sources.dicom import open_dicom
from tests.dicom_files import build_dataset, change, grey_frames, insert_before_rows, nested, save
from tests.dicom_sessions import DATA


def region(**tags):
    """Return a region of two-dimensional tissue over the whole picture of 96 by 80 pixels."""
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = 1
    item.RegionFlags = 2
    item.RegionLocationMinX0 = item.RegionLocationMinY0 = 0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = 95, 79
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = 0.02, 0.03
    return change(item, **tags)


def spacing(tmp_path, regions=None, syntax=None, undefined=False, **tags):
    """Return what a file with these regions and elements says."""
    ds = change(build_dataset(grey_frames(2), **({"syntax": syntax} if syntax else {})), **tags)
    if regions is not None:
        ds.SequenceOfUltrasoundRegions = regions
        ds["SequenceOfUltrasoundRegions"].is_undefined_length = undefined
        for item in regions:
            item.is_undefined_length_sequence_item = undefined
    reader = open_dicom(str(save(ds, tmp_path / "file.dcm")))
    reader.close()
    return reader.info.pixel_spacing_mm


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_centimetres_of_a_region_become_millimetres_of_rows_then_columns(
    tmp_path, syntax, undefined
):
    assert spacing(tmp_path, [region()], syntax, undefined) == pytest.approx((0.3, 0.2))


def test_a_region_goes_before_pixel_spacing(tmp_path):
    assert spacing(tmp_path, [region()], PixelSpacing=[1, 2]) == pytest.approx((0.3, 0.2))


def test_pixel_spacing_counts_where_no_region_is_tissue(tmp_path):
    doppler = region(RegionSpatialFormat=3, RegionDataType=3)
    assert spacing(tmp_path, [doppler], PixelSpacing=["0.5", "0.25"]) == (0.5, 0.25)


def test_a_file_that_says_nothing_has_no_spacing(tmp_path):
    assert spacing(tmp_path) is None


@pytest.mark.parametrize(
    "tags",
    [
        {"PhysicalUnitsXDirection": 4},
        {"PhysicalDeltaX": 0.0},
        {"PhysicalDeltaX": float("nan")},
        {"PhysicalDeltaY": float("inf")},
        {"PhysicalDeltaX": None},
        {"RegionLocationMaxX1": 200},
        {"RegionLocationMaxY1": None},
    ],
    ids=str,
)
def test_a_region_that_cannot_be_believed_gives_no_spacing(tmp_path, tags):
    assert spacing(tmp_path, [region(**tags)], PixelSpacing=[1, 1]) is None


def test_regions_that_agree_give_one_spacing_and_others_none(tmp_path):
    assert spacing(tmp_path, [region(), region()]) == pytest.approx((0.3, 0.2))
    assert spacing(tmp_path, [region(), region(PhysicalDeltaX=0.04)]) is None


def test_a_stretched_picture_has_the_spacing_of_what_is_shown(tmp_path):
    # Rows are drawn twice as high: 80 become 160, each half as far from the next.
    given = spacing(tmp_path, [region()], PixelAspectRatio=[2, 1])
    assert given == pytest.approx((0.15, 0.2))


@pytest.mark.parametrize("text", ["0.1", "a\\b", "-1\\-1", "0\\0", "1e9\\1e9"])
def test_pixel_spacing_that_is_none_is_left_out(tmp_path, text):
    ds = build_dataset(grey_frames(2))
    ds.PixelSpacing = [1, 1]
    path = save(ds, tmp_path / "file.dcm")
    data = path.read_bytes()
    at = data.index(b"\x28\x00\x30\x00DS")
    value = text.encode() + b" " * (len(text) % 2)
    path.write_bytes(
        data[: at + 6] + len(value).to_bytes(2, "little") + value + data[at + 8 + data[at + 6] :]
    )
    reader = open_dicom(str(path))
    reader.close()
    assert reader.info.pixel_spacing_mm is None


@pytest.mark.parametrize("defined", [True, False])
def test_d04_sequences_in_front_of_the_regions_do_not_matter(tmp_path, defined):
    path = save(build_dataset(grey_frames(2)), tmp_path / "file.dcm")
    path.write_bytes(insert_before_rows(path.read_bytes(), nested(20, defined=defined)))
    reader = open_dicom(str(path))
    reader.close()
    assert reader.info.pixel_spacing_mm is None


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real DICOM files")
def test_a_real_scanner_says_its_spacing_in_two_equal_regions():
    # Its header: PhysicalDeltaX and Y 0.03826530650258064 cm in both tissue regions.
    reader = open_dicom(str(DATA / "gdcm-US-ALOKA-16.dcm"))
    reader.close()
    assert reader.info.pixel_spacing_mm == pytest.approx((0.3826530650258064,) * 2)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real DICOM files")
def test_a_real_loop_that_was_made_smaller_has_no_spacing_any_more():
    # Its region ends at 595, 414; its picture has 320 by 240 pixels.
    reader = open_dicom(str(DATA / "examples_ybr_color.dcm"))
    reader.close()
    assert reader.info.pixel_spacing_mm is None
