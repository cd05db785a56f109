"""D13: an identity planted in a recording and in its name is in nothing that leaves or is logged.

The recording's own name may stand in what stays beside it, see docs/privacy.md.
"""

import csv
import subprocess
import sys
import zipfile

import pytest

from stream.review.clip import open_clip
from stream.review.export import Wish, export_labels
from stream.review.records import Call
from stream.review.trail import Change, Trail, trail_path
from stream.send.outbox import outbox_path
from tests.archive_runs import run
from tests.clips import write_clip
from tests.dicom_archives import TITLE, misbehaving
from tests.dicom_sessions import add_dicom, record, write_source
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)
INSIDE = ("ROE^RICHARD", "ROE RICHARD", "4711-0815", "WARD9")
NAMED = ("DOE^JANE", "DOE-JANE", "19700101")
TAGS = {
    "PatientName": "ROE^RICHARD",
    "PatientID": "4711-0815",
    "InstitutionName": "WARD9",
    "ImageComments": "of ROE RICHARD",
    "ReferringPhysicianName": "ROE^RICHARD",
}


def files_below(folder):
    """Return every file by its path, a sheet as the texts in it."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {name: unpacked(path) for name, path in files.items()}


def unpacked(path):
    if path.suffix != ".xlsx":
        return path.read_bytes()
    with zipfile.ZipFile(path) as sheet:
        return b"".join(sheet.read(name) for name in sheet.namelist())


def holding(words, files):
    """Return the names of the files in whose bytes one of the words stands."""
    return {name.name for name, data in files.items() if any(w.encode() in data for w in words)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Return an archive of three recordings and all that `stream archive --debug` printed."""
    folder = tmp_path_factory.mktemp("planted")
    root = folder / "in"
    root.mkdir()
    write_source(root / "a.dcm", **TAGS)
    write_clip(root / "DOE^JANE-19700101.mp4", 5)
    (root / "DOE^JANE-19700101-note.mp4").write_bytes(b"ROE RICHARD, WARD9\n" * 100)
    flags = ("--no-report", "--workers", "1", "--debug")
    status, said = run(root, folder / "out", save_tiny(folder), *flags)
    assert status == 4, said
    return folder / "out", said


def test_d13_nothing_read_from_a_recording_is_in_an_archive_or_on_the_screen(archive):
    folder, said = archive
    assert len(list((folder / "sessions").iterdir())) == 2
    assert holding(INSIDE, files_below(folder)) == set()
    assert not any(word in said for word in INSIDE)


def test_d13_of_an_archive_only_tables_work_list_and_manifest_name_a_recording(archive):
    tables = {"table.csv", "table.xlsx", "table.html", "archive.sqlite"}
    assert holding(NAMED, files_below(archive[0])) == tables | {"manifest.json"}


def test_d13_a_row_of_the_table_names_its_recording_in_path_and_session_alone(archive):
    with (archive[0] / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = [(column, cell) for row in rows for column, cell in row.items()]
    named = {column for column, cell in cells if any(word in cell for word in NAMED)}
    assert named == {"path", "session"}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Return a session whose recording has an identity in its tags and another in its name."""
    folder = tmp_path_factory.mktemp("planted")
    made = record(write_source(folder / "DOE^JANE-19700101.dcm", **TAGS), folder)
    add_dicom(made, deidentify=True)
    assert made.name == "DOE-JANE-19700101"
    return made


def call(*words):
    """Run the command in a process of its own; return its status and all that it printed."""
    command = [sys.executable, "-m", "stream.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_d13_neither_the_outbox_nor_what_is_sent_nor_what_is_logged_names_anybody(session):
    got = []
    with misbehaving(lambda event: got.append(event.request.DataSet.getvalue()) or 0) as port:
        status, said = call("send", session, "--to", f"127.0.0.1:{port}", "--aet", TITLE, "--debug")
    assert (status, len(got)) == (0, 8), said
    sent = [outbox_path(session).read_bytes(), said.encode(), *got]
    assert not any(word.encode() in data for word in INSIDE + NAMED for data in sent)


def test_d13_what_an_archive_says_beside_its_refusal_is_not_kept(session):
    from pydicom.dataset import Dataset

    refusal = Dataset()
    refusal.Status, refusal.ErrorComment = 0xA700, "ROE^RICHARD is unknown"
    with misbehaving(lambda event: refusal) as port:
        status, said = call("send", session, "--to", f"127.0.0.1:{port}", "--aet", TITLE, "--debug")
    assert status == 4 and "A700" in said
    assert "ROE" not in said and b"ROE" not in outbox_path(session).read_bytes()


def test_d13_exported_labels_name_nobody(session, tmp_path):
    clip = open_clip(session)
    with Trail(trail_path(clip.review_folder, "hana"), clip.journal) as trail:
        trail.add(Change(what="label", target=(0, 3), field="call", new=Call("labelled", "red")))
    wish = Wish("hana", tmp_path / "out", accept_text="A. Turing: a drill, not a patient")
    assert export_labels([session], wish, lambda done: None) == 1
    files = files_below(tmp_path / "out")
    assert {name.suffix for name in files} == {".csv", ".txt", ".png"}
    assert holding(INSIDE + NAMED, files) == set()


def test_d13_a_deidentified_report_does_not_name_the_folder_it_was_made_in(session):
    flags = ("--html", "--csv", "--deidentify", "--accept-text", "A. Turing: a drill", "--debug")
    status, said = call("report", session, *flags)
    files = files_below(session / "report")
    assert status == 0 and "index.html" in {name.name for name in files}, said
    assert holding(INSIDE + NAMED, files) == set()
    assert not any(word in said for word in INSIDE)


LOGGED = """
import logging
from stream import console
from stream.errors import SourceError
console.start_log()
try:
    try:
        open("DOE^JANE.mp4")
    except OSError as error:
        raise SourceError("DOE^JANE.mp4", "holds WARD9", fault="V21") from error
except SourceError:
    logging.getLogger("stream.replay").debug("not analysed", exc_info=True)
    console.trace()
"""


def test_d13_a_log_tells_where_an_error_came_from_and_none_of_its_words():
    command = [sys.executable, "-c", LOGGED]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stderr
    assert said.count("SourceError") == said.count("FileNotFoundError") == 2
    assert said.startswith("stream.replay: not analysed\nTraceback")
    assert "DOE" not in said and "WARD9" not in said
