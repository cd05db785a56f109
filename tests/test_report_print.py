"""The report's page as a printer gets it: every frame and its caption, and nothing to click on."""

import dataclasses
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from benchmarks.browser import open_browser
from stream.report import wording
from stream.report.html import encode_html
from tests.report_content import build_content

MISSING = [name for name in ("chromium", "pdftotext", "pdftoppm") if not shutil.which(name)]
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
CONTROLS = ("Opacity", "100%", "Point at the timeline", "Shift")


@pytest.fixture(scope="module")
def content():
    return dataclasses.replace(build_content(size_wh=(320, 240)), pixel_spacing_mm=(0.4, 0.4))


@pytest.fixture(scope="module")
def printed(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("print")
    (folder / "index.html").write_bytes(encode_html(content))
    with open_browser(folder / "profile") as page:
        page.open((folder / "index.html").as_uri())
        page.until("document.readyState == 'complete' && !document.getElementById('fade').hidden")
        page.run("document.querySelector('#opacity').value = 0")
        page.run("document.querySelector('#opacity').dispatchEvent(new Event('input'))")
        return page.print(folder / "print.pdf")


def ask(program, *arguments):
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_print_has_the_caption_of_every_key_frame(content, printed):
    text = ask("pdftotext", "-layout", printed, "-")
    captions = [wording.place_words(key) for key in content.key_frames]
    assert [caption for caption in captions if caption not in text] == []
    assert text.count(f"Saliency for {content.positive_class}") == text.count("Original") == 5
    assert text.count("50 mm") >= 10


def test_print_has_no_control_and_no_link_back(printed):
    text = ask("pdftotext", "-layout", printed, "-")
    assert [words for words in CONTROLS if words in text.split("Every frame accounted")[0]] == []
    assert " timeline\n" not in text.split("Key frames")[1]


def test_print_shows_the_saliency_even_where_the_slider_took_it_away(printed):
    ask("pdftoppm", "-png", "-r", "60", "-f", "2", "-l", "2", printed, printed.with_suffix(""))
    (path,) = printed.parent.glob("print-*.png")
    blue, _, red = np.moveaxis(cv2.imread(str(path)).astype(int), 2, 0)
    assert np.count_nonzero(red - blue > 60) > 200
