"""Facts about the DICOM objects of a report on a real cine loop, which carries its own patient."""

import numpy as np
import pydicom
import pytest

from stream.session.content import read_content
from stream.session.manifest import read_manifest
from tests.dicom_sessions import DATA, OBJECTS, add_dicom, complaints, record

LOOP = DATA / "examples_ybr_color.dcm"
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not LOOP.exists(), reason="needs the real DICOM files"),
]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    session = record(LOOP, tmp_path_factory.mktemp("real"))
    add_dicom(session)
    return session


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_of_a_real_loop_pass_dciodvfy(session, name):
    assert complaints(session, name) == []


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_of_a_real_loop_belong_to_its_patient_and_study(session, name):
    source = pydicom.dcmread(LOOP, stop_before_pixels=True)
    ds = pydicom.dcmread(session / "report" / "dicom" / f"{name}.dcm")
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "StudyID"):
        assert ds[keyword].value == source[keyword].value
    assert ds.SeriesInstanceUID != source.SeriesInstanceUID


def test_frames_named_by_the_selection_show_the_key_frames(session):
    source = pydicom.dcmread(LOOP)
    frames = source.pixel_array[..., 0].astype(np.int16)
    keys = read_content(session, read_manifest(session)).key_frames
    selection = pydicom.dcmread(session / "report" / "dicom" / "key_objects.dcm")
    items = [item for item in selection.ContentSequence if item.ValueType == "IMAGE"]
    for key, item in zip(keys, items, strict=True):
        place = item.ReferencedSOPSequence[0]
        assert place.ReferencedSOPInstanceUID == source.SOPInstanceUID
        apart = abs(frames - key.image[..., 0].astype(np.int16)).mean(axis=(1, 2))
        assert apart.argmin() == place.ReferencedFrameNumber - 1


def test_a_real_loop_that_was_compressed_makes_lossy_panels(session):
    ds = pydicom.dcmread(session / "report" / "dicom" / "panel_1.dcm")
    assert ds.LossyImageCompression == "01"
    assert ds.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(ds.LossyImageCompressionRatio) == 19
