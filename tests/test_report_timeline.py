import dataclasses
import re

import numpy as np
import pytest

from stream.report.axis import Axis, spread
from stream.report.timeline import build_legend, build_points, build_timeline
from stream.report.timeline_svg import draw_timeline
from stream.report.wording import timeline_words
from tests.report_content import build_content

SMALL = (64, 64)


def axis(times):
    return Axis(np.asarray(times, np.float64), 0.0, 100.0)


def test_each_key_frame_has_one_numbered_mark():
    drawing = str(draw_timeline(build_content(size_wh=SMALL)))
    marks = re.findall(r'class="mark".*?<text[^>]*>(\d+)</text>', drawing)
    assert sorted(marks) == ["1", "2", "3", "4", "5"]
    assert all(f'<a class="mark" href="#frame-{rank}"' in drawing for rank in marks)


def test_bands_shade_uncertain_unfamiliar_and_invalid_frames():
    drawing = str(draw_timeline(build_content(size_wh=SMALL, keys=0)))
    bands = re.findall(r'<rect class="(\w+)"', drawing)
    assert bands == ["invalid", "unfamiliar", "uncertain", "uncertain", "invalid"]


def test_line_breaks_where_the_model_did_not_answer():
    drawing = str(draw_timeline(build_content(size_wh=SMALL, keys=0)))
    path = re.search(r'class="smoothed" d="([^"]*)"', drawing)
    assert path
    assert path[1].count("M") == 3


def test_long_clip_draws_at_most_two_points_per_column():
    drawing = str(draw_timeline(build_content(size_wh=SMALL, keys=0, frames=20_000)))
    path = re.search(r'class="raw" d="([^"]*)"', drawing)
    assert path
    assert 900 <= path[1].count("L") <= 1810


def test_single_frame_is_a_dot_in_the_middle():
    drawing = str(draw_timeline(build_content(size_wh=SMALL, keys=1, frames=1)))
    assert '<circle class="dot" cx="495.0"' in drawing


def test_timeline_without_frames_draws():
    content = build_content(size_wh=SMALL, keys=0, frames=1)
    line = content.timeline
    empty = dataclasses.replace(
        line, seq=line.seq[:0], time_s=line.time_s[:0], probs=line.probs[:0],
        smoothed=line.smoothed[:0], label=(), state=(),
    )  # fmt: skip
    drawing = draw_timeline(dataclasses.replace(content, timeline=empty))
    assert "No frame has a probability" in drawing


def test_description_names_the_peak_and_the_share_above_the_threshold():
    content = build_content(size_wh=SMALL, keys=0, frames=1)
    smoothed = np.array([[0.25, 0.75], [0.875, 0.125], [0.5, 0.5]], np.float32)
    line = dataclasses.replace(
        content.timeline, smoothed=smoothed, time_s=np.array([0.0, 1.5, 3.0])
    )
    words = timeline_words(dataclasses.replace(content, timeline=line))
    assert "peaks at 0.88 (1.50 s)" in words
    assert "in 2 of 3 frames" in words


@pytest.mark.parametrize(
    ("high", "ticks"),
    [
        (12.0, [0, 2, 4, 6, 8, 10, 12]),
        (0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (70.0, range(0, 71, 10)),
    ],
)
def test_ticks_are_round_and_at_most_nine(high, ticks):
    assert axis([0, high]).ticks(whole=False) == pytest.approx(list(ticks))


def test_ticks_of_frame_numbers_are_whole():
    assert axis([0, 3]).ticks(whole=True) == [0, 1, 2, 3]


def test_columns_keep_their_least_and_greatest_value():
    values = np.zeros(1800, np.float32)
    values[[101, 700]] = 1, -1
    assert {101, 700} <= set(axis(range(1800)).extremes(values))


def test_runs_meet_half_way_between_frames():
    assert axis([0, 1, 2, 4]).runs(np.array([0, 0, 3, 3])) == [(0, 0.0, 37.5), (3, 37.5, 100.0)]


def test_marks_that_would_overlap_are_moved_apart_within_the_drawing():
    assert spread([10, 12, 95, 96], 10, 100) == [10, 20, 90, 100]


def test_each_frame_of_a_short_clip_can_be_read_under_the_pointer():
    points = build_points(build_content(size_wh=SMALL, keys=0, frames=40))
    assert len(points) == 40
    assert points[15] == (
        pytest.approx(391.4, abs=0.05),
        "0.50 s · frame 15 · dilated pelvis · dilated pelvis 0.61, smoothed 0.63",
    )
    assert points[35][1] == "1.17 s · frame 35 · no signal"


def test_columns_of_a_long_clip_tell_of_their_highest_frame():
    content = build_content(size_wh=SMALL, keys=0, frames=9000)
    content.timeline.smoothed[13, 0] = 1.0
    points = build_points(content)
    assert len(points) == 900
    assert points[1][1].startswith("0.43 s · frame 13 ·")
    assert points[1][1].endswith("smoothed 1.00 · highest of 10 frames")


@pytest.mark.parametrize(("frames", "kind"), [(100, "dot"), (366, "raw")])
def test_legend_shows_single_frames_as_they_are_drawn(frames, kind):
    content = build_content(size_wh=SMALL, keys=0, frames=frames)
    assert build_legend(content)[1] == (kind, "each frame")
    drawn = {getattr(shape, "kind", "dot") for shape in build_timeline(content)}
    assert kind in drawn


def test_times_of_a_live_session_count_from_its_start():
    content = dataclasses.replace(build_content(size_wh=SMALL, keys=0), live=True)
    assert "seconds since the start of the session" in draw_timeline(content)
