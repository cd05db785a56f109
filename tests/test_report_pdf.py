"""Facts about the PDF, read back by poppler, which `make system-deps` installs."""

import dataclasses
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from stream.report.pdf.document import encode_pdf
from tests.report_content import build_content

SMALL = (160, 120)
LONG = "Ультразвук 腎臓 <b>&amp;</b> " + "ein-langer-Name-" * 20 + "\u202e\udcff.mp4"


def write(folder, content):
    path = folder / "report.pdf"
    path.write_bytes(encode_pdf(content))
    return path


def ask(tool, path, *more):
    """Return what one of poppler's tools says about a PDF."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed; `make system-deps` installs it")
    command = [tool, str(path), *map(str, more)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def pages(path):
    return ask("pdftotext", path, "-").rstrip("\f").split("\f")


def test_a_summary_a_page_for_each_key_frame_and_the_method(tmp_path):
    text = pages(write(tmp_path, build_content(size_wh=SMALL, keys=3)))
    assert len(text) == 5
    assert "Clip verdict" in text[0]
    for rank in (1, 2, 3):
        assert f"Key frame {rank} of 3" in text[rank]
    assert "Method and provenance" in text[4]


def test_every_page_says_that_it_is_no_medical_device(tmp_path):
    content = build_content(size_wh=SMALL, keys=2)
    facts = {f"fact {number}": "long words " * 60 for number in range(40)}
    text = pages(write(tmp_path, dataclasses.replace(content, provenance=facts)))
    assert len(text) > 5
    assert all("Not a medical device" in page for page in text)


def test_every_font_is_embedded_and_a_truetype(tmp_path):
    content = dataclasses.replace(build_content(size_wh=SMALL), problems=("[V06] cut",))
    rows = ask("pdffonts", write(tmp_path, content)).splitlines()[2:]
    assert [row.split()[1:5] for row in rows] == [["TrueType", "WinAnsi", "yes", "yes"]] * 2


def test_title_author_and_language_are_told(tmp_path):
    path = write(tmp_path, build_content(size_wh=SMALL, keys=0))
    told = ask("pdfinfo", path)
    assert re.search(r"Title: +phantom:kidney\?seed=7&seconds=12: Sonostream clip report", told)
    assert re.search(r"Author: +Sonostream", told)
    assert b"/Lang (en)" in path.read_bytes()


def test_digests_are_wrapped_and_never_cut(tmp_path):
    digests = {f"digest {number}": f"{number:x}" * 320 for number in range(1, 10)}
    content = build_content(size_wh=SMALL, keys=0)
    text = "".join(pages(write(tmp_path, dataclasses.replace(content, provenance=digests))))
    for digest in digests.values():
        assert digest in re.sub(r"\s", "", text)


@pytest.mark.parametrize("classes", [("a", "b"), tuple(f"{LONG} {n}" for n in range(30))])
def test_v23_long_and_foreign_names_keep_every_page_in_its_margins(tmp_path, classes):
    content = dataclasses.replace(
        build_content(size_wh=SMALL, keys=1, clip_name=LONG, classes=classes, has_time=False),
        problems=(f"[V06] {LONG}",) * 30,
        partial=True,
        engine_warning=LONG * 3,
    )
    path = write(tmp_path, content)
    ask("pdftoppm", path, tmp_path / "page", "-r", "50", "-png")
    drawn = [cv2.imread(str(one), cv2.IMREAD_GRAYSCALE) for one in tmp_path.glob("page*.png")]
    assert len(drawn) >= 3
    for page in drawn:
        margins = (page[:, :22], page[:, -22:], page[:22], page[-16:])
        assert min(margin.min() for margin in margins) == 255


def test_letters_that_the_font_lacks_are_drawn_in_the_title_and_escaped_in_the_text(tmp_path):
    content = build_content(size_wh=SMALL, keys=0, clip_name="腎 ä.mp4")
    path = write(tmp_path, dataclasses.replace(content, source={"File": "腎 ä.mp4"}))
    assert "\\u814e ä.mp4" in pages(path)[-1]
    ask("pdftoppm", path, tmp_path / "page", "-r", "50", "-png", "-l", "1")
    (page,) = tmp_path.glob("page*.png")
    assert cv2.imread(str(page), cv2.IMREAD_GRAYSCALE)[36:52, 26:100].min() < 90


def test_frames_are_stored_without_loss(tmp_path):
    content = build_content(size_wh=SMALL, keys=1)
    path = write(tmp_path, content)
    if shutil.which("pdfimages") is None:
        pytest.skip("pdfimages is not installed; `make system-deps` installs it")
    subprocess.run(["pdfimages", "-png", path, tmp_path / "i"], timeout=60, check=True)
    found = [cv2.imread(str(one), cv2.IMREAD_COLOR_RGB) for one in tmp_path.glob("i*.png")]
    frame = np.stack([content.key_frames[0].image] * 3, axis=2)
    assert any(np.array_equal(one, frame) for one in found)


def test_scale_bar_is_drawn_where_the_spacing_is_known(tmp_path):
    content = build_content(size_wh=SMALL, keys=1)
    known = dataclasses.replace(content, pixel_spacing_mm=(0.4, 0.4))  # 64 mm wide: 20 mm fit
    assert "20 mm" in pages(write(tmp_path, known))[1]
    assert " mm" not in pages(write(tmp_path, content))[1]


def test_partial_forced_and_unbalanced_are_said_on_the_first_page(tmp_path):
    content = dataclasses.replace(
        build_content(size_wh=SMALL, keys=0),
        partial=True,
        engine_warning="Forced engine",
        ledger={"grabbed": 12, "analysed": 9},
    )
    first = pages(write(tmp_path, content))[0]
    assert all(words in first for words in ("PARTIAL", "FORCED ENGINE", "DOES NOT BALANCE"))


def test_page_of_a_clip_without_key_frames_says_so(tmp_path):
    text = pages(write(tmp_path, build_content(size_wh=SMALL, keys=0, frames=20)))
    assert len(text) == 2
    assert "No frame could be kept" in text[0]
