"""Reports in every format from real sources, as the command writes them, judged by others.

A recorded clip, a DICOM cine loop, and a live session over the clip.
"""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import pytest

from benchmarks.browser import open_browser
from stream.cli import main
from stream.session.manifest import file_digests, read_manifest

DATA = Path("../shared/data")
CLIP, LOOP = DATA / "clips/butterfly-ocular-phantom.mp4", DATA / "dicom/examples_ybr_color.dcm"
JUDGES = ("dciodvfy", "dcmdump", "dsrdump", "pdffonts", "pdftoppm", "chromium", "ffmpeg")
MISSING = [name for name in JUDGES if shutil.which(name) is None]
FORMATS = ("--html", "--pdf", "--png", "--csv", "--dicom")
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def ask(program, *arguments):
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["clip", "loop", "live"])
def session(request, tmp_path_factory):
    """A session of each kind with its report in every format."""
    folder = tmp_path_factory.mktemp(request.param)
    clip = folder / "clip.mp4"
    ask("ffmpeg", "-v", "error", "-i", CLIP, "-t", "4", "-c", "copy", clip)
    out = ("--out", str(folder / "out"))
    command = {
        "clip": ("replay", str(clip)),
        "loop": ("replay", str(LOOP)),
        "live": ("live", str(clip), "--no-window"),
    }[request.param]
    assert main([*command, *out]) == 0
    (made,) = (path for path in (folder / "out").iterdir() if (path / "manifest.json").exists())
    assert main(["report", str(made), *FORMATS]) == 0
    return made


def test_every_file_is_there_and_sealed(session):
    names = {path.name for path in (session / "report").rglob("*") if path.is_file()}
    tables = {"index.html", "report.pdf", "report.json", "predictions.csv", "exports.json"}
    assert tables <= names
    keys = len(list((session / "report").glob("frame_?.png")))
    assert keys >= 2
    panels = {f"panel_{number}.dcm" for number in range(1, keys + 1)}
    assert panels | {"results.dcm", "key_objects.dcm", "report.dcm"} <= names
    assert read_manifest(session).files == file_digests(session)


def test_dicom_objects_have_no_error_and_open_elsewhere(session):
    objects = sorted((session / "report/dicom").glob("*.dcm"))
    for path in objects:
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=60)
        said = (done.stdout + done.stderr).splitlines()
        assert [line for line in said if line.startswith("Error")] == [], path.name
        assert "(0020,000d)" in ask("dcmdump", path)
    said = ask("dsrdump", session / "report/dicom/results.dcm")
    assert "Comprehensive SR Document" in said and "(INVALID" not in said


def test_fonts_are_embedded_and_no_page_is_empty(session, tmp_path):
    path = session / "report/report.pdf"
    rows = ask("pdffonts", path).splitlines()[2:]
    assert rows and all(row.split()[3] == "yes" for row in rows)
    ask("pdftoppm", "-r", "40", "-png", path, tmp_path / "page")
    pages = [cv2.imread(str(page), cv2.IMREAD_GRAYSCALE) for page in tmp_path.glob("page*.png")]
    keys = len(list((session / "report").glob("frame_?.png")))
    assert len(pages) >= keys + 2
    assert all((page < 160).mean() > 0.002 for page in pages)


def test_the_page_shows_every_picture_without_a_complaint(session, tmp_path):
    with open_browser(tmp_path / "profile", (1280, 900)) as page:
        page.open((session / "report/index.html").resolve().as_uri())
        page.until("document.readyState == 'complete'")
        shown = page.run("[...document.images].map(image => image.naturalWidth)")
        assert len(shown) >= 4 and min(shown) > 0
        assert page.run("document.body.innerText.includes('Not a medical device')")
        assert page.log == []


@pytest.mark.slow
@pytest.mark.parametrize("session", ["live"], indirect=True)
def test_of_a_live_session_a_forged_table_alone_does_not_stand(session, tmp_path, capsys):
    copy = shutil.copytree(session, tmp_path / "copy")
    with (copy / "report/predictions.csv").open("a") as table:
        table.write("\n")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"] = file_digests(copy)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert main(["verify", str(copy)]) == 6
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "does not stand" in line)
    assert line.endswith("report/predictions.csv: differs from the one made again")
