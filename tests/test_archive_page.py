"""The archive's page in a real browser, offline; `make system-deps` installs one."""

import numpy as np

from benchmarks.browser import photograph
from stream.archive.eyes import rank_entries
from stream.archive.table import build_cells, encode_page
from tests.test_archive_eyes import entry
from tests.test_archive_table import HOSTILE


def show(folder, *flags):
    """Open the page of a hundred recordings; return its picture (H, W, 3) and the browser's log."""
    ranked = rank_entries(
        [entry(HOSTILE, "failed"), *(entry(f"a/{n}.mp4", partial=n < 9) for n in range(99))]
    )
    cells = [build_cells(line, report=True) for line in ranked]
    (folder / "table.html").write_bytes(encode_page(ranked, cells))
    return photograph(folder / "table.html", *flags)


def test_page_breaks_no_rule_of_its_own_policy_and_marks_what_is_urgent(tmp_path):
    picture, log = show(tmp_path)
    assert "CONSOLE" not in log
    assert picture[5, 5].tolist() == [244, 246, 248]
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    assert np.count_nonzero((red == 163) & (green == 38) & (blue == 42)) > 100
    assert np.count_nonzero((red == 163) & (green == 91) & (blue == 0)) > 500


def test_page_is_dark_for_those_who_prefer_it(tmp_path):
    picture, _ = show(tmp_path, "--blink-settings=preferredColorScheme=0")
    assert picture[5, 5].tolist() == [14, 19, 23]
