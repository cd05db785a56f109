"""Facts about `stream report`: which files it writes, what it refuses, what stands afterwards."""

import json
import shutil
import sqlite3

import cv2
import pytest

from stream.cli import main
from stream.session.manifest import file_digests, read_manifest
from stream.sources.encode import write_video
from tests.clips import pictures
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)
PHANTOM = "phantom:kidney?seconds=1&size=160x120"
PAGE, PDF = "report/index.html", "report/report.pdf"
ACCEPT = ("--accept-text", "A. Tester: a drawn name")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two sessions: of a phantom, and of a video with a name in its pictures."""
    folder = tmp_path_factory.mktemp("recorded")
    clip = folder / "clip.mp4"
    picture = next(pictures(1, (320, 240))).copy()
    cv2.putText(picture, "DOE JANE", (60, 130), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255,) * 3, 3)
    write_video(clip, [picture] * 8, 30.0)
    save_tiny(folder)
    arguments = ["--model", str(folder / "tiny.onnx"), "--out", str(folder / "out")]
    assert main(["replay", PHANTOM, str(clip), *arguments]) == 0
    return folder / "out"


@pytest.fixture
def phantom(recorded, tmp_path):
    (name,) = (path.name for path in recorded.iterdir() if path.name.startswith("phantom"))
    return shutil.copytree(recorded / name, tmp_path / "session")


@pytest.fixture
def video(recorded, tmp_path):
    return shutil.copytree(recorded / "clip", tmp_path / "session")


def report(session, *arguments):
    return main(["report", str(session), *arguments])


def names(session):
    return {path.relative_to(session).as_posix() for path in session.rglob("*") if path.is_file()}


def test_without_flags_page_pictures_and_tables_are_written(phantom, capsys):
    shutil.rmtree(phantom / "report")
    assert report(phantom) == 0
    assert {PAGE, "report/frame_1.png", "report/predictions.csv"} <= names(phantom)
    assert PDF not in names(phantom)
    said = capsys.readouterr().out
    for line in ("report: ", "pictures: ", "tables: ", "privacy: "):
        assert line in said


def test_a_named_format_is_written_alone_and_sealed(phantom, capsys):
    before = file_digests(phantom)
    assert report(phantom, "--pdf") == 0
    after = file_digests(phantom)
    assert after.keys() - before.keys() == {PDF, "report/exports.json"}
    assert {name: after[name] for name in before} == before
    assert read_manifest(phantom).files == after
    assert f"pdf: {phantom / PDF}" in capsys.readouterr().out


def test_d13_an_export_leaves_no_working_copy_beside_it_and_verify_holds(video):
    assert {PAGE, "report/frame_1.png", "report/report.json"} <= names(video)
    assert report(video, "--pdf", *ACCEPT) == 0
    assert {name for name in names(video) if "/" in name} == {PDF, "report/exports.json"}
    assert read_manifest(video).files == file_digests(video)
    assert main(["verify", str(video)]) == 0


def test_verify_makes_exported_formats_again_under_the_same_protection(video):
    assert report(video, "--pdf", "--html", *ACCEPT) == 0
    assert report(video, "--csv", "--no-mask", *ACCEPT) == 0
    assert main(["verify", str(video)]) == 0


def test_verify_names_every_file_with_a_changed_byte(phantom, capsys):
    pytest.importorskip("highdicom")
    report(phantom, "--pdf", "--dicom", "--csv")
    changed = [PDF, PAGE, "report/frame_1_map.png", "report/report.json", "journal.sqlite"]
    changed += ["report/predictions.csv", "report/exports.json"]
    changed += [f"report/dicom/{name}.dcm" for name in ("panel_1", "results", "report")]
    for name in changed:
        data = bytearray((phantom / name).read_bytes())
        data[-2] ^= 1
        (phantom / name).write_bytes(data)
    assert main(["verify", str(phantom)]) == 6
    said = capsys.readouterr().err
    assert [name for name in changed if f"{name}: changed" not in said] == [], said


def test_changed_files_are_named_even_where_the_source_is_gone(video, recorded, capsys):
    clip = recorded.parent / "clip.mp4"
    (video / PAGE).write_text("another page")
    clip.rename(clip.with_suffix(".away"))
    try:
        assert main(["verify", str(video)]) == 6
    finally:
        clip.with_suffix(".away").rename(clip)
    assert f"{PAGE}: changed" in capsys.readouterr().err


def test_a_forged_export_does_not_stand_even_when_sealed_again(phantom, capsys):
    report(phantom, "--pdf")
    (phantom / PDF).write_bytes((phantom / PDF).read_bytes() + b" ")
    manifest = json.loads((phantom / "manifest.json").read_text())
    manifest["files"] = file_digests(phantom)
    (phantom / "manifest.json").write_text(json.dumps(manifest))
    assert main(["verify", str(phantom)]) == 6
    assert f"{PDF}: differs from the one made again" in capsys.readouterr().err


def test_a_report_does_not_seal_what_somebody_changed_before_it(phantom, capsys):
    with (phantom / PAGE).open("a") as file:
        file.write(" ")
    assert report(phantom, "--pdf") == 0
    assert main(["verify", str(phantom)]) == 6
    assert f"{PAGE}: changed" in capsys.readouterr().err


def test_no_report_is_written_of_a_journal_that_was_changed(phantom, capsys):
    with sqlite3.connect(phantom / "journal.sqlite") as db:
        db.execute("UPDATE frames SET label = 'x'")
    db.close()
    before = names(phantom)
    assert report(phantom, "--pdf") == 6
    assert names(phantom) == before
    assert "changed since it was sealed" in capsys.readouterr().err


def test_d13_a_refused_export_writes_nothing_and_says_the_frame_and_why(video, capsys):
    before = file_digests(video)
    assert report(video, "--csv", "--html") == 4
    assert file_digests(video) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error[D13] frame ")
    assert "no report is written" in line


def test_d13_tables_alone_hold_no_picture_and_are_not_refused_for_one(video, capsys):
    assert report(video, "--csv", "--deidentify") == 0
    assert {name for name in names(video) if "/" in name} == {
        *("report/predictions.csv", "report/report.json", "report/exports.json"),
    }
    written = json.loads((video / "report/report.json").read_text())
    assert written["provenance"]["Privacy"] == (
        "No picture was exported with this, the clip's name is replaced."
    )
    assert main(["verify", str(video)]) == 0


def test_d13_pictures_after_tables_are_searched_and_no_other_protection_is_said(video, capsys):
    assert report(video, "--csv") == 0
    assert report(video, "--png") == 4
    assert report(video, "--png", *ACCEPT) == 0
    assert "under another protection: csv" in capsys.readouterr().err
    assert report(video, "--csv", *ACCEPT) == 0
    assert "protection" not in capsys.readouterr().err
    assert main(["verify", str(video)]) == 0


def test_d13_what_was_accepted_and_by_whom_is_in_the_report(video):
    assert report(video, "--html", "--csv", *ACCEPT) == 0
    written = json.loads((video / "report/report.json").read_text())
    assert "accepted by A. Tester: a drawn name" in written["provenance"]["Privacy"]


def test_a_partial_session_is_marked_and_exits_4(phantom):
    manifest = json.loads((phantom / "manifest.json").read_text())
    manifest |= {"partial": True, "problems": ["[V06] 44 of 90 frames"]}
    (phantom / "manifest.json").write_text(json.dumps(manifest))
    assert report(phantom, "--html") == 4
    assert ">PARTIAL<" in (phantom / PAGE).read_text()


def test_dicom_without_pydicom_names_the_extra(phantom, monkeypatch, capsys):
    monkeypatch.setattr("stream.report.dicom.origin.find_spec", lambda name: None)
    before = names(phantom)
    assert report(phantom, "--dicom") == 2
    assert "sonostream[dicom]" in capsys.readouterr().err
    assert names(phantom) == before


def test_dicom_objects_are_sealed_and_replace_earlier_ones(phantom):
    pytest.importorskip("pydicom")
    (phantom / "report/dicom").mkdir()
    (phantom / "report/dicom/old.dcm").write_bytes(b"an object of an earlier report")
    assert report(phantom, "--dicom") == 0
    assert read_manifest(phantom).files == file_digests(phantom)
    assert {"report/dicom/panel_1.dcm", "report/dicom/report.dcm"} <= names(phantom)
    assert "report/dicom/old.dcm" not in names(phantom)
    assert PDF not in names(phantom)


def test_f37_a_file_that_cannot_be_written_exits_6_and_leaves_no_other_name(phantom, capsys):
    (phantom / PDF).mkdir()
    assert report(phantom, "--pdf") == 6
    assert "error[F37]" in capsys.readouterr().err
    assert not [name for name in names(phantom) if name.endswith(".part")]


def test_a_patient_without_dicom_is_a_wrong_usage(phantom, capsys):
    assert report(phantom, "--pdf", "--patient", "p.json") == 2
    assert "--dicom" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ranked SET image_png = x'00'",
        "UPDATE ranked SET cam_shape = '[9, 9, 9]'",
        "UPDATE ranked SET cam_shape = '[]'",
        "UPDATE ranked SET score_parts = '[1]'",
        "UPDATE ranked SET score = 'much'",
        "UPDATE frames SET probs = '[0.5]'",
        "UPDATE frames SET time_ns = 'late'",
    ],
)
def test_a_journal_of_strangers_that_holds_nonsense_is_a_storage_error(phantom, change, capsys):
    with sqlite3.connect(phantom / "journal.sqlite") as db:
        db.execute(change)
    db.close()
    manifest = json.loads((phantom / "manifest.json").read_text())
    manifest["files"] = {}
    (phantom / "manifest.json").write_text(json.dumps(manifest))
    assert report(phantom, "--csv") == 6
    assert "journal.sqlite" in capsys.readouterr().err
