"""Facts about the comparison sheet and the plots in print quality."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.test_attribution import picture
from train.attribution.drawing import Origin, Row, find_scale, paint
from train.attribution.maps import Attribution, Checks, Saturation
from train.attribution.plots import draw_gradient_plots
from train.attribution.sheet import describe, draw_sheet

ORIGIN = Origin("tiny", "drawn pictures", "Test part, split by clip")
RANDOM = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
GOOD = Checks(0.2, 0.8, (0.5, 0.6), (0.5, 0.4), 0.1)
LINE = np.linspace(0, 1, 5)


def make_row(seed=0, caption="frame 3 of clip 2, labelled dilated", target="dilated"):
    maps = {
        "gradient-saturation": Attribution(
            np.abs(RANDOM), False, steps=5, saturation=Saturation(LINE, LINE**0.5, 1 - LINE)
        ),
        "integrated-gradients": Attribution(RANDOM, True, steps=32, completeness_error=0.02),
        "lime": Attribution(RANDOM * 0, True),
    }
    return Row(picture(seed), target, 0.93, caption, maps, dict.fromkeys(maps, GOOD))


def test_paint_covers_by_magnitude_and_colours_by_sign():
    frame = np.full((1, 4, 3), 100, np.uint8)
    values = np.array([[0.0, 1.0, 9.0, -0.5]], np.float32)
    painted = paint(frame, values, 1.0)
    assert painted[0].tolist() == [[100, 100, 100], [255, 120, 0], [255, 120, 0], [50, 125, 178]]


def test_scale_is_the_99_percent_quantile_of_all_maps():
    one = Attribution(np.arange(100, dtype=np.float32).reshape(10, 10), True)
    assert find_scale([one]) == pytest.approx(98.01)
    assert find_scale([replace(one, map=one.map * 0)]) == 1.0


def test_lines_below_a_map_name_both_checks_and_flag_failures():
    found = make_row().attributions["integrated-gradients"]
    assert describe(found, GOOD) == [
        ("del 0.200 (0.550)", True),
        ("ins 0.800 (0.450)", True),
        ("sanity 0.10", True),
        ("compl. 2.0%", True),
    ]
    poor = replace(found, completeness_error=0.06, lost=3)
    lines = describe(poor, Checks(0.55, 0.45, (0.5, 0.6), (0.5, 0.4), 0.7))
    assert [good for _, good in lines] == [False] * 5
    assert lines[-1][0] == "3 px not finite"


def test_a_flat_map_gets_no_figures():
    flat = Attribution(np.ones((4, 4), np.float32), False)
    assert describe(flat, GOOD) == [("flat map: says nothing", False)]


def test_sheet_is_a4_at_its_resolution_and_repeats_byte_for_byte(tmp_path):
    for name in ("one.png", "two.png"):
        draw_sheet([make_row(0), make_row(1)], ORIGIN, tmp_path / name, {"lime": 0.5}, dpi=100)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert cv2.imread(str(tmp_path / "one.png")).shape[:2] == (827, 1169)


@pytest.mark.parametrize(
    "rows", [[], [make_row()] * 6, [make_row(), replace(make_row(), attributions={})]]
)
def test_sheet_refuses_rows_that_do_not_fit(tmp_path, rows):
    with pytest.raises(ValueError, match="expected 1 to 5 with the same methods"):
        draw_sheet(rows, ORIGIN, tmp_path / "sheet.png")


def test_v23_awkward_names_are_drawn(tmp_path):
    odd = "$x_{ \n\x00 多囊 " + "w" * 255
    row = make_row(caption=odd, target=odd)
    draw_sheet([row], Origin(odd, odd, odd), tmp_path / "sheet.png", dpi=60)
    draw_gradient_plots(row, Origin(odd, odd, odd), tmp_path / "plots.png", dpi=60)
    assert (tmp_path / "plots.png").stat().st_size > 1000


def test_gradient_plots_have_600_dots_per_inch_and_repeat(tmp_path):
    for name in ("one.png", "two.png"):
        draw_gradient_plots(make_row(), ORIGIN, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert cv2.imread(str(tmp_path / "one.png")).shape[:2] == (1350, 4320)


def test_gradient_plots_name_the_missing_method(tmp_path):
    row = replace(make_row(), attributions={})
    with pytest.raises(ValueError, match="no gradient-saturation or integrated-gradients"):
        draw_gradient_plots(row, ORIGIN, tmp_path / "plots.png")


def test_pictures_work_without_torch():
    modules = "train.attribution.sheet, train.runs.paper"
    program = f"import sys; sys.modules['torch'] = None; import {modules}"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
