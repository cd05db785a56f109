"""The basic profile of PS3.15: what identifies somebody is gone, what is left still conforms."""

import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, UltrasoundImageStorage

from stream.report.confidentiality import ACTION_OF
from stream.report.deidentify import deidentify, new_uid

REAL = Path("../shared/data/dicom")
KEY = b"a key of this test"
WHO = "DOE^JANE"

BY_VR = {
    "AE": ("ScheduledStationAETitle", "DOEJANE"),
    "AS": ("PatientAge", "061Y"),
    "CS": ("PatientSex", "F"),
    "DA": ("PatientBirthDate", "19610312"),
    "DS": ("PatientWeight", "61.031"),
    "DT": ("AcquisitionDateTime", "19610312112420"),
    "IS": ("RequestedDecimalPotassium", ""),
    "LO": ("OtherPatientIDs", WHO),
    "LT": ("AdditionalPatientHistory", WHO),
    "PN": ("PatientBirthName", WHO),
    "SH": ("StudyID", WHO),
    "ST": ("InstitutionAddress", WHO),
    "TM": ("StudyTime", "112420.1961"),
    "UC": ("DeviceAlternateIdentifier", WHO),
    "UR": ("PixelDataProviderURL", "http://doe.example"),
    "UT": ("LabelText", WHO),
}
del BY_VR["IS"]  # the table has no integer string
PLANTED = (b"DOE", b"JANE", b"1961", b"doe.example", b"61.031", b"112420")


def image():
    """Return the header of an ultrasound image with planted identity in it."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = UltrasoundImageStorage, "1.2.3.1961.1"
    ds.StudyInstanceUID, ds.Modality, ds.Rows = "1.2.3.1961.2", "US", 480
    ds.Manufacturer = "Scanner Works"
    return ds


def plant(ds):
    """Plant identity in every text VR, in free text outside the table, and in a private group."""
    for keyword, value in BY_VR.values():
        setattr(ds, keyword, value)
    ds.TextValue = ds.SelectorSTValue = WHO
    ds.private_block(0x0011, "Doe Works", create=True).add_new(0x01, "LO", WHO)
    ds.add_new(0x60003000, "OW", WHO.encode())
    ds.add_new(0x50003000, "OW", WHO.encode())
    ds.add_new(0x00100F01, "LO", WHO)  # a tag that the dictionary does not have
    return ds


def as_bytes(ds, folder):
    """Return a dataset as it would be in a file."""
    ds.save_as(folder / "x.dcm", implicit_vr=False, little_endian=True, enforce_file_format=False)
    return (folder / "x.dcm").read_bytes()


def test_d13_planted_identity_is_gone_from_every_kind_of_value_at_every_depth(tmp_path):
    ds = plant(image())
    for sequence in ("ReferencedImageSequence", "SequenceOfUltrasoundRegions", "ContentSequence"):
        inner = plant(Dataset())
        inner.ConceptNameCodeSequence = [plant(Dataset())]
        setattr(ds, sequence, [inner])
    assert all(word in as_bytes(ds, tmp_path) for word in PLANTED)
    deidentify(ds, KEY)
    left = as_bytes(ds, tmp_path)
    assert [word for word in PLANTED if word in left] == []
    assert ds.Rows == 480 and ds.Manufacturer == "Scanner Works"
    assert not any(element.tag.is_private for element in ds.iterall())


def test_the_table_is_obeyed_by_action():
    ds = image()
    ds.PatientName, ds.PatientSex, ds.StudyDescription = WHO, "F", "knee"
    ds.ContentDate, ds.SeriesDate = "20240524", "20240524"
    deidentify(ds, KEY)
    assert (ds.PatientName, ds.PatientSex) == ("", "") or not (ds.PatientName or ds.PatientSex)
    assert not ds.ContentDate and "ContentDate" in ds  # Z/D: may be empty in an image
    assert "SeriesDate" not in ds and "StudyDescription" not in ds


def test_a_structured_report_keeps_what_its_class_requires():
    ds = image()
    ds.SOPClassUID, ds.ContentDate = ComprehensiveSRStorage, "20240524"
    ds.ReferencedPerformedProcedureStepSequence = []
    person = Dataset()
    person.ValueType, person.PersonName, person.DateTime = "PNAME", WHO, "20240524112420"
    ds.ContentSequence = [person]
    deidentify(ds, KEY)
    assert ds.ContentDate == "19000101"
    assert len(ds.ReferencedPerformedProcedureStepSequence) == 0
    assert (person.PersonName, person.DateTime) == ("Anonymous", "19000101000000")
    assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == [
        "113100",
        "113104",
    ]


def test_our_own_sentences_and_page_stay_and_those_of_others_go():
    ours, others = image(), image()
    ours.Manufacturer = "Sonostream"
    for ds in (ours, others):
        ds.TextValue, ds.EncapsulatedDocument = "five frames", b"%PDF"
        deidentify(ds, KEY)
    assert (ours.TextValue, ours.EncapsulatedDocument) == ("five frames", b"%PDF")
    assert "TextValue" not in others and others.EncapsulatedDocument == b"\0\0"


def test_uids_are_replaced_the_same_way_everywhere_and_those_of_the_standard_stay():
    first, second = image(), image()
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = (
        "1.2.840.10008.1.1",
        "1.2.3.1961.1",
    )
    second.SourceImageSequence = [inner]
    for ds in (first, second):
        deidentify(ds, KEY)
    assert inner.ReferencedSOPInstanceUID == first.SOPInstanceUID == new_uid("1.2.3.1961.1", KEY)
    assert inner.ReferencedSOPClassUID == "1.2.840.10008.1.1"
    assert first.SOPInstanceUID.startswith("2.25.") and len(first.SOPInstanceUID) <= 64
    assert new_uid("1.2.3.1961.1", b"another key") != first.SOPInstanceUID


def test_the_object_says_what_was_done():
    ds = image()
    deidentify(ds, KEY)
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.LongitudinalTemporalInformationModified == "REMOVED"
    (code,) = ds.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")


def test_every_row_of_the_table_is_a_keyword_of_the_standard():
    assert len(ACTION_OF) > 600
    assert all(pydicom.datadict.tag_for_keyword(keyword) for keyword in ACTION_OF)


def complaints(path):
    """Return the errors of dciodvfy."""
    done = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


@pytest.mark.skipif(not REAL.exists(), reason="no real ultrasound on this machine")
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@pytest.mark.parametrize("name", ["ybr_color", "rgb_color", "jpeg2k"])
def test_a_real_object_conforms_afterwards_as_well_as_before(name, tmp_path):
    source = REAL / f"examples_{name}.dcm"
    ds = pydicom.dcmread(source)
    deidentify(ds, KEY)
    ds.save_as(tmp_path / "clean.dcm", enforce_file_format=True)
    assert complaints(tmp_path / "clean.dcm") <= complaints(source)
