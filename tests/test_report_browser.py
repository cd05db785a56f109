"""The page in a real browser, offline; `make system-deps` installs one."""

import numpy as np

from benchmarks.browser import photograph
from stream.report.html import encode_html
from tests.report_content import build_content


def show(folder, *flags):
    """Open the page of a hostile clip; return its picture (H, W, 3) and what the browser logged."""
    content = build_content(size_wh=(320, 240), clip_name="<img src=x onerror=alert(1)>")
    (folder / "index.html").write_bytes(encode_html(content))
    return photograph(folder / "index.html", *flags)


def test_page_breaks_no_rule_of_its_own_policy_and_shows_the_saliency(tmp_path):
    picture, log = show(tmp_path)
    assert "CONSOLE" not in log
    assert picture[5, 5].tolist() == [244, 246, 248]
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    assert np.count_nonzero((red - blue > 80) & (green - blue > 60) & (red < 215)) > 500


def test_page_is_dark_for_those_who_prefer_it(tmp_path):
    picture, _ = show(tmp_path, "--blink-settings=preferredColorScheme=0")
    assert picture[5, 5].tolist() == [14, 19, 23]
