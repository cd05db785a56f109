"""Facts about probabilities over time."""

import math

import msgspec
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


def test_the_first_label_is_taken_at_once():
    assert [s.label for s in follow([0.9])] == ["red"]


def test_a_new_label_appears_only_after_it_has_held():
    labels = [s.label for s in follow([0.0] * 3 + [1.0] * 8, hold_s=0.2, smoothing_s=0)]
    assert labels == ["blue"] * 8 + ["red"] * 3


def test_nothing_is_carried_over_a_gap():
    smoother = Smoother(SPEC, AnalysisConfig())
    smoother.update(0, np.array([0, 1], np.float32))
    after = smoother.update(29_000 * MS, np.array([1, 0], np.float32))
    assert (after.label, after.probs[1]) == ("blue", 0.0)


@pytest.mark.parametrize("threshold", [0.02, 0.05, 0.5, 0.95, 0.98])
def test_both_classes_can_be_reached_at_any_threshold(threshold):
    smoother = Smoother(msgspec.structs.replace(SPEC, threshold=threshold), AnalysisConfig())
    assert smoother.update(0, np.array([0, 1], np.float32)).label == "red"
    smoother.restart()
    assert smoother.update(0, np.array([1, 0], np.float32)).label == "blue"


def test_two_other_classes_near_each_other_are_uncertain():
    changes = {"classes": ("a", "b", "red"), "cam_scale": (1.0, 1.0, 1.0)}
    smoother = Smoother(msgspec.structs.replace(SPEC, **changes), AnalysisConfig(margin=0.1))
    assert smoother.update(0, np.array([0.5, 0.45, 0.05], np.float32)).label == UNCERTAIN
    smoother.restart()
    assert smoother.update(0, np.array([0.6, 0.35, 0.05], np.float32)).label == "a"


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
