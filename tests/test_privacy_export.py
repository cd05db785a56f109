"""D13 from end to end: an identity planted everywhere in a DICOM file is in no byte of a report."""

import base64
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pydicom
import pytest

from stream.report.privacy import ExportRefused
from stream.report.privacy.text import _places, _read, _turned
from stream.report_command import FormatFlags, report
from tests.dicom_files import build_dataset
from tests.dicom_sessions import copy_of, record
from tests.scanner_screens import phantom, screens, text_screen

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed"),
]
PLANTED = ("DOE", "JANE", "4711", "1970", "WARD9")
LONG = (b"DOE^JANE", b"DOE JANE", b"DOE-JANE", b"DOE, JANE", b"JANE^DOE", b"4711-0815", b"WARD9")
"""Shorter ones are met by chance in compressed bytes."""
EVERYTHING = FormatFlags(html=True, pdf=True, png=True, dicom=True, csv=True)


def save_planted(path, pictures):
    """Write an ultrasound loop with identity in its tags, private tags, pixels and file name."""
    ds = build_dataset(np.stack(pictures))
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "DOE^JANE^ANN", "4711-0815", "19700101"
    ds.InstitutionName, ds.StudyDescription, ds.ImageComments = "WARD9", "DOE, JANE", "of DOE JANE"
    ds.ReferringPhysicianName, ds.StudyDate = "JANE^DOE", "19700102"
    block = ds.private_block(0x0011, "WARD9 WORKS", create=True)
    block.add_new(0x01, "LO", "DOE JANE 4711")
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Return the session of a planted loop: a fan among a name, dates and rulers."""
    images, fan = phantom("kidney", "dilated", count=8)
    pictures, _, _ = screens(images, fan, size_wh=(800, 600), scale=0.7)
    folder = tmp_path_factory.mktemp("planted")
    return record(save_planted(folder / "DOE-JANE-4711.dcm", pictures), folder)


@pytest.fixture(scope="module")
def exported(session, tmp_path_factory):
    """Return the folder of a de-identified report in every format, and what was printed."""
    given = tmp_path_factory.mktemp("given")
    folder = copy_of(session, given).rename(given / "case")
    command = [sys.executable, "-m", "stream.cli", "report", folder]
    flags = ["--html", "--pdf", "--png", "--dicom", "--csv", "--deidentify", "--debug"]
    done = subprocess.run(
        [*command, *flags], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "report", done.stdout + done.stderr


def words_in(image):
    """Return everything that can be read in a picture."""
    part = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    readings = [_read(row) for place in _places(part) for row in _turned(part, place)]
    return " ".join(text.upper() for text, sure in readings if sure > 0.5)


def planted_in(text):
    """Return the planted words in a text."""
    return [word for word in PLANTED if word in text.upper()]


def shown_by(folder):
    """Yield a name and a picture for one picture of each kind in a report."""
    for name in ("frame_1.png", "frame_2_plain.png"):
        yield name, cv2.imread(str(folder / name))
    for kind, data in re.findall(r"data:image/(\w+);base64,([^\"')]+)", _text(folder))[:1]:
        yield kind, cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    yield "dicom", pydicom.dcmread(folder / "dicom" / "panel_1.dcm").pixel_array
    subprocess.run(
        [
            "pdftoppm",
            "-r",
            "100",
            "-png",
            "-f",
            "2",
            "-l",
            "2",
            folder / "report.pdf",
            folder.parent / "page",
        ],
        check=True,
        timeout=60,
    )
    for page in sorted(folder.parent.glob("page-*.png")):
        yield page.name, cv2.imread(str(page))


def _text(folder):
    return (folder / "index.html").read_text()


def test_d13_what_was_planted_can_be_read_before(session):
    folder = session.parent.parent
    picture = pydicom.dcmread(folder / "DOE-JANE-4711.dcm").pixel_array[0]
    assert {"DOE", "JANE", "1970", "4711"} <= set(planted_in(words_in(picture)))


def test_d13_planted_identity_is_in_no_byte_of_a_deidentified_report(exported):
    folder, _ = exported
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".pdf", ".png", ".dcm", ".csv", ".json"}
    found = {path.name: [word for word in LONG if word in path.read_bytes()] for path in files}
    assert {name: words for name, words in found.items() if words} == {}


def test_d13_planted_identity_is_on_no_page_and_in_no_line_that_is_printed(exported):
    folder, printed = exported
    pages = subprocess.run(
        ["pdftotext", folder / "report.pdf", "-"], capture_output=True, text=True, check=True
    )
    assert "clip-" in pages.stdout
    assert planted_in(pages.stdout + printed) == []


def test_d13_what_was_drawn_around_the_fan_is_in_no_picture_of_a_report(exported):
    seen = {name: planted_in(words_in(image)) for name, image in shown_by(exported[0])}
    assert len(seen) == 5
    assert {name: words for name, words in seen.items() if words} == {}


def test_d13_a_frame_that_cannot_be_masked_blocks_every_format(tmp_path):
    folder = record(save_planted(tmp_path / "loop.dcm", [text_screen(16)] * 4), tmp_path)
    shutil.rmtree(folder / "report", ignore_errors=True)
    with pytest.raises(ExportRefused, match=r"\[D13\] frame \d+: no sector found"):
        report(folder, formats=EVERYTHING)
    assert not (folder / "report").exists()
