"""Facts about the PDF of a recipe."""

import re
import subprocess
from shutil import which

import cv2
import pytest

from stream.errors import UsageError
from tests.pictures import speckle
from train.runs.paper import NOT_A_DEVICE, Paper, Picture, Result, write_paper
from train.scoring.metrics import Figure


def make_paper(tmp_path, **changes):
    path = tmp_path / "curve.png"
    cv2.imwrite(str(path), speckle(0))
    shown = tuple(Picture(path, f"{place}. frame") for place in range(1, 6))
    values = {
        "title": "auto-pcos, sound",
        "method": ("InceptionV3, frozen.", "Adam at 1e-4."),
        "split": "By group: 70 frames for training, 30 for test.",
        "results": (Result("accuracy", Figure(0.88, 0.85, 0.91), 0.9052), Result("AUROC", None)),
        "published_where": "Author, 2024, table 3",
        "curves": (Picture(path, "ROC"), Picture(path, "loss"), Picture(path, "accuracy")),
        "frames": {"validation": shown, "test": shown},
        "warnings": ("Random start.",),
    }
    return Paper(**{**values, **changes})


def read_text(path):
    if which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    return subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True
    ).stdout


def test_paper_says_method_split_figures_and_warnings(tmp_path):
    write_paper(make_paper(tmp_path), tmp_path / "paper.pdf")
    text = read_text(tmp_path / "paper.pdf")
    for part in ("InceptionV3, frozen.", "By group: 70 frames", "Random start.", "Page 2"):
        assert part in text
    assert re.search(r"accuracy +0.880 \(0.850 to 0.910\) +0.9052", text)
    assert re.search(r"AUROC +undefined +-", text)
    assert text.count("5. frame") == 2
    assert text.count(NOT_A_DEVICE) == text.count("Page ") + 1


def test_paper_repeats_byte_for_byte_and_brings_its_fonts(tmp_path):
    for name in ("one.pdf", "two.pdf"):
        write_paper(make_paper(tmp_path), tmp_path / name)
    data = (tmp_path / "one.pdf").read_bytes()
    assert data == (tmp_path / "two.pdf").read_bytes()
    fonts = set(re.findall(rb"/BaseFont /(\S+)", data))
    assert fonts == {b"AAAAAA+DejaVuSans", b"AAAAAA+DejaVuSans-Bold"}


def test_v23_awkward_names_are_written(tmp_path):
    odd = "<b>&amp; $x_{ \x00\ud800 多囊 " + "w" * 400
    result = Result(odd, Figure(0.5, 0.4, 0.6))
    paper = make_paper(tmp_path, title=odd, split=odd, results=(result,), warnings=(odd,))
    write_paper(paper, tmp_path / "paper.pdf")
    assert "<b>&amp; $x_{" in read_text(tmp_path / "paper.pdf")


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_picture_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "missing.png"
    if content is not None:
        path.write_bytes(content)
    paper = make_paper(tmp_path, curves=(Picture(path, "ROC"),))
    with pytest.raises(UsageError, match=r"missing\.png: not a picture that can be read"):
        write_paper(paper, tmp_path / "paper.pdf")
    assert not (tmp_path / "paper.pdf").exists()
