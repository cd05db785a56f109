"""Facts about where patient and study of DICOM objects come from, and what is never said."""

import json
import subprocess
import sys

import msgspec
import pydicom
import pytest

from stream.errors import SourceError, StorageError, UsageError
from stream.report.dicom import read_origin, write_dicom
from stream.session.content import read_content
from stream.session.manifest import read_manifest
from stream.sources.dicom_study import parse_study
from tests.dicom_files import build_dataset, grey_frames, insert_before_rows, nested, save
from tests.dicom_sessions import (
    PATIENT,
    PDF,
    add_dicom,
    complaints,
    copy_of,
    of,
    record,
    recorded_phantom,
    write_source,
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """A session of a DICOM cine loop."""
    folder = tmp_path_factory.mktemp("loop")
    return record(write_source(folder / "loop.dcm"), folder)


@pytest.fixture(scope="module")
def phantom():
    return recorded_phantom()


@pytest.mark.parametrize(
    ("tags", "flag"),
    [({}, None), ({"LossyImageCompression": "01"}, "01"), ({"LossyImageCompression": "00"}, "00")],
)
def test_lossy_compression_is_taken_over(tmp_path, loop, tags, flag):
    session = loop
    source = write_source(tmp_path / "loop.dcm", **tags)
    assert read_origin(of(session, source), None).lossy.get("LossyImageCompression") == flag


def test_the_clock_of_the_study_is_kept(loop, tmp_path):
    source = write_source(tmp_path / "loop.dcm", TimezoneOffsetFromUTC="-0430")
    origin = read_origin(of(loop, source), None)
    assert origin.local_created() == origin.created
    assert origin.local_created().strftime("%z") == "-0430"


def test_a_source_that_changed_gives_no_patient(loop, tmp_path):
    session = loop
    manifest = read_manifest(session)
    changed = write_source(tmp_path / "other.dcm", PatientComments="later")
    moved = msgspec.structs.replace(manifest.input, uri=str(changed))
    origin = read_origin(msgspec.structs.replace(manifest, input=moved), None)
    assert origin.values == {}
    assert origin.source is None
    assert "no longer the file analysed" in origin.notes[0]


def test_a_source_that_is_gone_gives_no_patient(loop, tmp_path):
    manifest = read_manifest(loop)
    moved = msgspec.structs.replace(manifest.input, uri=str(tmp_path / "gone.dcm"))
    origin = read_origin(msgspec.structs.replace(manifest, input=moved), None)
    assert origin.values == {}
    assert "cannot be read" in origin.notes[0]


def test_a_value_that_its_element_cannot_have_is_left_empty_and_named(loop, tmp_path):
    source = write_source(tmp_path / "loop.dcm")
    data = source.read_bytes().replace(b"19700102", b"1970.1.2")
    source.write_bytes(data)
    origin = read_origin(of(loop, source), None)
    assert "PatientBirthDate" not in origin.values
    assert origin.notes == ("left empty, the source has no valid value: PatientBirthDate",)


def test_a_name_in_an_unknown_character_set_is_not_guessed(loop, tmp_path):
    source = write_source(tmp_path / "loop.dcm")
    source.write_bytes(source.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 999"))
    origin = read_origin(of(loop, source), None)
    assert "PatientName" not in origin.values
    assert "PatientName" in origin.notes[0]


def test_d13_an_origin_does_not_show_who_it_is_about(loop):
    shown = repr(read_origin(read_manifest(loop), None))
    assert "PLANTED-ID" not in shown
    assert "ller" not in shown


def test_d13_no_name_is_printed_while_objects_are_written(loop, tmp_path, capfd):
    source = write_source(tmp_path / "loop.dcm", PatientName="PLANTEDNAME")
    manifest = of(loop, source)
    content = read_content(loop, manifest)
    write_dicom(content, tmp_path / "report", read_origin(manifest, None), PDF, [], False)
    out, err = capfd.readouterr()
    assert out + err == ""


@pytest.mark.parametrize("kind", ["json", "toml", "dcm"])
def test_patient_and_study_come_from_the_file_given(phantom, tmp_path, kind):
    path = tmp_path / f"patient.{kind}"
    facts = {key: text for key, text in PATIENT.items() if key != "StudyTime"}
    if kind == "json":
        path.write_text(json.dumps(facts))
    elif kind == "toml":
        path.write_text("".join(f"{key} = {json.dumps(text)}\n" for key, text in facts.items()))
    else:
        write_source(path)
    session = copy_of(phantom, tmp_path)
    add_dicom(session, given=path)
    ds = pydicom.dcmread(session / "report" / "dicom" / "results.dcm")
    assert {key: str(ds[key].value) for key in facts} == facts
    assert complaints(session, "results") == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"PatientNane": "x"}, "unknown keys: PatientNane"),
        ({"PixelData": "x", "Modality": "US"}, "Modality, PixelData"),
        ({"PatientBirthDate": "1970-01-02"}, "PatientBirthDate is no value of type DA"),
        ({"PatientBirthDate": "19700231"}, "PatientBirthDate is no value of type DA"),
        ({"PatientSex": "X"}, "PatientSex is none of M, F, O"),
        ({"StudyInstanceUID": "1.02.3"}, "StudyInstanceUID is no value of type UI"),
        ({"AccessionNumber": "x" * 17}, "AccessionNumber is no value of type SH"),
        ({"PatientName": "a\nb"}, "PatientName has control characters"),
        ({"PatientID": 7}, "PatientID is no text"),
    ],
)
def test_a_patient_file_with_something_else_is_refused(phantom, tmp_path, facts, words):
    path = tmp_path / "patient.json"
    path.write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=words):
        read_origin(read_manifest(phantom), path)


@pytest.mark.parametrize("data", [b"", b"[1]", b"nonsense", b"{" * 70_000, b"\xff\xfe"])
def test_a_patient_file_that_is_none_is_refused_without_quoting_it(phantom, tmp_path, data):
    path = tmp_path / "patient.json"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="neither DICOM nor JSON or TOML"):
        read_origin(read_manifest(phantom), path)


def test_a_patient_file_beside_a_dicom_source_is_refused(loop, tmp_path):
    path = tmp_path / "patient.json"
    path.write_text(json.dumps({"PatientID": "x"}))
    with pytest.raises(UsageError, match="says itself whose it is"):
        read_origin(read_manifest(loop), path)


def test_after_damaged_frames_no_frame_number_is_claimed(loop):
    session = loop
    manifest = read_manifest(session)
    damaged = msgspec.structs.replace(manifest, problems=("[D08] 1 of 12 frames damaged",))
    assert read_origin(damaged, None).source.frame_number(3) is None
    assert read_origin(manifest, None).source.frame_number(3) == 4


@pytest.mark.parametrize(
    ("fault", "spoil"),
    [
        ("D02", lambda data: data[:600]),
        ("D03", lambda data: data.replace(b"LO\x0a\x00PLANTED", b"LO\xff\xffPLANTED")),
        ("D04", lambda data: insert_before_rows(data, nested(50, defined=False))),
    ],
)
def test_a_damaged_dicom_file_given_is_refused_by_its_fault(phantom, tmp_path, fault, spoil):
    path = write_source(tmp_path / "patient.dcm")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(SourceError, match=fault):
        read_origin(read_manifest(phantom), path)


def test_a_given_dicom_file_is_parsed_by_another_process(phantom, tmp_path, monkeypatch):
    def here(path):
        raise AssertionError("parsed in this process")

    monkeypatch.setattr("stream.sources.dicom_study.parse_study", here)
    path = write_source(tmp_path / "patient.dcm")
    assert read_origin(read_manifest(phantom), path).values["PatientID"] == PATIENT["PatientID"]


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        ("ISO_IR 100", b"M\xfcller^A", "Müller^A"),
        ("ISO_IR 192", "Müller^Ä".encode(), "Müller^Ä"),
        ("ISO_IR 144", b"\xb0\xdd\xdd\xd0", "Анна"),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        ("", b"M\xfcller^A", None),
        ("ISO_IR 192", b"M\xfcller^A", None),
    ],
    ids=["latin", "utf-8", "cyrillic", "japanese", "undeclared", "wrong"],
)
def test_names_come_through_their_character_set_or_not_at_all(tmp_path, charset, raw, text):
    ds = build_dataset(grey_frames(1))
    ds.PatientName, ds.SpecificCharacterSet = "x" * (len(raw) + len(raw) % 2), charset
    path = save(ds, tmp_path / "file.dcm")
    marked = path.read_bytes()
    path.write_bytes(marked.replace(b"x" * (len(raw) + len(raw) % 2), raw + b" " * (len(raw) % 2)))
    found = parse_study(str(path)).values.get("PatientName")
    assert found == text


PROGRAM = """
import sys
sys.modules[sys.argv[1]] = None
from stream.cli import main
sys.exit(main(["send", "session", "--to", "host:104", "--aet", "X"]))
"""


@pytest.mark.parametrize("missing", ["pydicom", "highdicom", "pynetdicom"])
def test_without_the_extra_it_says_what_to_install(missing):
    command = [sys.executable, "-c", PROGRAM, missing]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"{missing} is not installed; install sonostream[dicom]" in done.stderr


def test_a_manifest_without_a_time_is_damaged(phantom):
    manifest = msgspec.structs.replace(read_manifest(phantom), created="yesterday")
    with pytest.raises(StorageError, match="created is no time"):
        read_origin(manifest, None)
