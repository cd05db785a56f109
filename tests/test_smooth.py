"""Facts about probabilities over time."""

import math

import numpy as np
import pytest

from stream.analysis.smooth import UNCERTAIN, MediaClock, Smoother
from stream.config import AnalysisConfig
from tests.tiny_model import SPEC

MS = 1_000_000


def follow(values, step_ms=40, **settings):
    smoother = Smoother(SPEC, AnalysisConfig(**settings))
    return [
        smoother.update(i * step_ms * MS, np.array([1 - v, v], np.float32))
        for i, v in enumerate(values)
    ]


def test_the_average_forgets_by_e_after_one_time_constant():
    last = follow([1.0, 0.0], step_ms=300, smoothing_s=0.3)[-1]
    assert last.probs[1] == pytest.approx(math.exp(-1), abs=1e-6)


def test_the_average_does_not_depend_on_the_frame_rate():
    slow = follow([1.0] + [0.0] * 5, step_ms=100)[-1]
    fast = follow([1.0] + [0.0] * 50, step_ms=10)[-1]
    assert slow.probs[1] == pytest.approx(fast.probs[1], abs=1e-6)


def test_no_smoothing_passes_values_on():
    assert follow([0.2, 0.9], smoothing_s=0)[-1].probs[1] == pytest.approx(0.9)


def test_a_label_appears_only_after_it_has_held():
    labels = [s.label for s in follow([0.9] * 7, hold_s=0.2)]
    assert labels == [UNCERTAIN] * 5 + ["red"] * 2


def test_a_short_dip_does_not_change_the_label():
    labels = {s.label for s in follow([0.9] * 10 + [0.0] * 3 + [0.9] * 10, smoothing_s=0)[6:]}
    assert labels == {"red"}


def test_the_band_about_the_threshold_is_uncertain():
    assert follow([0.55] * 20, margin=0.1)[-1].label == UNCERTAIN


def test_far_below_the_threshold_the_other_class_wins():
    assert follow([0.1] * 20)[-1].label == "blue"


def test_clock_starts_at_zero_and_follows_the_source():
    clock = MediaClock(40 * MS)
    assert [clock.read(pts * MS)[0] for pts in (500, 540, 700)] == [0, 40 * MS, 200 * MS]


def test_f19_time_that_goes_back_or_leaps_a_day_counts_as_one_period():
    clock = MediaClock(40 * MS)
    day = 24 * 3600 * 1000
    answers = [clock.read(pts * MS) for pts in (100, 140, 20, 60, day, day + 40)]
    assert [a[0] // MS for a in answers] == [0, 40, 80, 120, 160, 200]
    assert [a[1] for a in answers] == [False, False, True, False, True, False]


def test_clock_steps_one_period_without_source_time():
    clock = MediaClock(40 * MS)
    assert [clock.read(None)[0] // MS for _ in range(3)] == [0, 40, 80]
