"""Facts about the DICOM objects of a report: valid, traceable, and nothing in them invented."""

import pathlib
import shutil
import subprocess

import cv2
import numpy as np
import pydicom
import pytest

from stream.errors import StorageError
from stream.report.dicom import draw_panels, read_origin, write_dicom
from stream.report.png import draw_panel
from stream.session.content import read_content
from stream.session.manifest import read_manifest
from tests.dicom_sessions import (
    IMAGE,
    OBJECTS,
    PATIENT,
    PDF,
    add_dicom,
    complaints,
    copy_of,
    panel,
    record,
    recorded_phantom,
    write_source,
)
from tests.report_content import build_content

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """A session of a DICOM cine loop, and the loop."""
    folder = tmp_path_factory.mktemp("loop")
    source = write_source(folder / "loop.dcm")
    session = record(source, folder)
    add_dicom(session)
    return session, source


@pytest.fixture(scope="module")
def phantom():
    return recorded_phantom()


def read(session, name):
    return pydicom.dcmread(session / "report" / "dicom" / f"{name}.dcm")


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_of_a_cine_loop_pass_dciodvfy(loop, name):
    assert complaints(loop[0], name) == []


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_of_a_phantom_pass_dciodvfy(phantom, name):
    assert complaints(phantom, name) == []


@pytest.mark.parametrize(
    "command",
    [
        ["dcmdump", "panel_1.dcm"],
        ["dcm2pnm", "--write-png", "panel_1.dcm", "picture.png"],
        ["dsrdump", "results.dcm"],
        ["dsrdump", "key_objects.dcm"],
        ["dcmdump", "report.dcm"],
    ],
    ids=lambda command: "-".join(command[::2]),
)
def test_objects_open_in_dcmtk(loop, tmp_path, command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]} of Debian's dcmtk")
    for path in (loop[0] / "report" / "dicom").iterdir():
        shutil.copy(path, tmp_path)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "E:" not in done.stderr


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_is_in_the_study_of_the_source(loop, name):
    ds = read(loop[0], name)
    assert {key: str(ds[key].value) for key in PATIENT} == PATIENT
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.SeriesInstanceUID.startswith("2.25.")


@pytest.mark.parametrize("name", OBJECTS)
def test_without_a_source_patient_and_study_are_there_and_empty(phantom, name):
    ds = read(phantom, name)
    assert {key: str(ds[key].value or "") for key in PATIENT if key != "StudyInstanceUID"} == {
        key: "" for key in PATIENT if key != "StudyInstanceUID"
    }
    assert ds.StudyInstanceUID.startswith("2.25.")


def test_key_objects_name_the_frames_of_the_source_best_first(loop):
    session, _ = loop
    keys = read_content(session, read_manifest(session)).key_frames
    items = [i for i in read(session, "key_objects").ContentSequence if i.ValueType == "IMAGE"]
    places = [item.ReferencedSOPSequence[0] for item in items]
    assert [place.ReferencedFrameNumber for place in places] == [key.seq + 1 for key in keys]
    assert {place.ReferencedSOPInstanceUID for place in places} == {IMAGE["SOPInstanceUID"]}


def test_key_objects_of_a_phantom_name_our_own_panels(phantom):
    items = [i for i in read(phantom, "key_objects").ContentSequence if i.ValueType == "IMAGE"]
    named = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items]
    assert named == [read(phantom, f"panel_{n}").SOPInstanceUID for n in range(1, len(named) + 1)]


def flat(items):
    """Yield every content item of a structured report."""
    for item in items:
        yield item
        yield from flat(item.get("ContentSequence", ()))


def numbers(items, name):
    return [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in flat(items)
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeMeaning == name
    ]


def texts(items, name):
    return [
        item.TextValue
        for item in flat(items)
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeMeaning == name
    ]


def test_the_structured_report_has_what_the_session_found(loop):
    session, _ = loop
    content = read_content(session, read_manifest(session))
    items = read(session, "results").ContentSequence
    first = content.classes[0]
    expected = [round(float(key.probs[0]), 6) for key in content.key_frames]
    assert numbers(items, f"Probability of {first}") == pytest.approx(expected)
    assert numbers(items, "Ranking score") == pytest.approx(
        [round(key.score, 6) for key in content.key_frames]
    )
    (share,) = numbers(items, "Share of valid frames behind the verdict")
    assert share == pytest.approx(100 * content.verdict_share)


def test_the_structured_report_names_the_algorithm_and_the_model(loop):
    session, _ = loop
    manifest = read_manifest(session)
    items = read(session, "results").ContentSequence
    assert set(texts(items, "Algorithm Name")) == {"Sonostream"}
    assert set(texts(items, "Algorithm Version")) == {manifest.versions["sonostream"]}
    assert f"Model SHA-256: {manifest.model.digest}" in texts(items, "Algorithm Parameters")


def test_the_structured_report_says_that_nobody_verified_it(loop):
    ds = read(loop[0], "results")
    assert (ds.VerificationFlag, ds.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert any("Not a medical device" in text for text in texts(ds.ContentSequence, "Comment"))


def test_a_panel_says_what_it_was_made_of(loop):
    ds = read(loop[0], "panel_1")
    source = ds.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == IMAGE["SOPInstanceUID"]
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY"]
    assert (ds.ConversionType, ds.BurnedInAnnotation) == ("WSD", "YES")
    assert "not for diagnosis" in ds.ImageComments.lower()


def test_a_panel_shows_its_picture(phantom):
    assert (read(phantom, "panel_1").pixel_array == panel(1, (96, 64))).all()


def test_panels_are_those_of_print_at_half_their_resolution():
    content = build_content(keys=2, size_wh=(160, 120))
    panels = draw_panels(content)
    assert [panel.shape for panel in panels] == [(1110, 1890, 3)] * 2
    pictures = (panels[1], draw_panel(content, content.key_frames[1]).picture)
    seen = [cv2.resize(p, (189, 111), interpolation=cv2.INTER_AREA).astype(int) for p in pictures]
    assert np.abs(seen[0] - seen[1]).mean() < 3


def test_the_pdf_is_carried_as_it_is(phantom):
    ds = read(phantom, "report")
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == PDF
    assert ds.MIMETypeOfEncapsulatedDocument == "application/pdf"


def test_writing_again_gives_the_same_bytes(loop, tmp_path):
    session = copy_of(loop[0], tmp_path)
    before = {p.name: p.read_bytes() for p in (session / "report" / "dicom").iterdir()}
    add_dicom(session)
    assert {p.name: p.read_bytes() for p in (session / "report" / "dicom").iterdir()} == before


def test_other_pictures_get_other_identifiers_in_the_same_series(loop, tmp_path):
    session = copy_of(loop[0], tmp_path)
    before = read(session, "panel_1")
    add_dicom(session, size_wh=(128, 64))
    after = read(session, "panel_1")
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.SeriesInstanceUID == before.SeriesInstanceUID


def test_objects_are_dated_by_the_analysis(phantom):
    created = read_manifest(phantom).created
    ds = read(phantom, "results")
    assert ds.ContentDate == created[:10].replace("-", "")
    assert ds.ContentTime == created[11:19].replace(":", "")
    assert ds.TimezoneOffsetFromUTC == "+0000"


def test_f37_a_full_disk_leaves_no_cut_object(loop, tmp_path, monkeypatch):
    def fail(self, *_):
        raise OSError(28, "No space left on device")

    session = copy_of(loop[0], tmp_path)
    monkeypatch.setattr(pathlib.Path, "replace", fail)
    manifest = read_manifest(session)
    content = read_content(session, manifest)
    with pytest.raises(StorageError, match="F37"):
        write_dicom(content, tmp_path / "out", read_origin(manifest, None), PDF, [], False)
    assert list((tmp_path / "out" / "dicom").iterdir()) == []


def test_objects_of_an_earlier_report_do_not_stay(loop, tmp_path):
    session = copy_of(loop[0], tmp_path)
    manifest = read_manifest(session)
    content = read_content(session, manifest)
    origin = read_origin(manifest, None)
    written = write_dicom(content, session / "report", origin, None, [panel(1, (96, 64))], False)
    folder = session / "report" / "dicom"
    assert sorted(folder.iterdir()) == sorted(written)


@pytest.fixture(scope="module")
def nameless(loop, tmp_path_factory):
    """The session of the cine loop with de-identified objects."""
    session = copy_of(loop[0], tmp_path_factory.mktemp("nameless"))
    add_dicom(session, deidentify=True)
    return session


def test_d13_deidentified_objects_name_nobody_and_point_to_no_source(nameless):
    data = b"".join(path.read_bytes() for path in (nameless / "report" / "dicom").iterdir())
    for secret in (*PATIENT.values(), *IMAGE.values()):
        assert len(secret) < 3 or secret.encode() not in data


def test_deidentified_key_objects_still_point_to_the_panels(nameless):
    items = [i for i in read(nameless, "key_objects").ContentSequence if i.ValueType == "IMAGE"]
    first = items[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert first == read(nameless, "panel_1").SOPInstanceUID


@pytest.mark.parametrize("name", OBJECTS)
def test_deidentified_objects_pass_dciodvfy(nameless, name):
    assert complaints(nameless, name) == []
