"""Facts about figures, worked by hand."""

import numpy as np
import pytest

from train.metrics import Scored, auroc, choose_threshold, count_confusion, headline, measure

NAMES = ("a", "b")


def score(chosen, labels, groups, sources=None):
    probs = np.where(np.asarray(chosen)[:, None] == [0, 1], 0.9, 0.1)
    return Scored(probs, np.asarray(labels), tuple(groups), tuple(sources or groups))


def test_headline_of_a_small_table_is_worked_by_hand():
    # truth a: 3 right, 1 wrong; truth b: 1 right, 1 wrong
    confusion = count_confusion(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0]), 2)
    assert confusion.tolist() == [[3, 1], [1, 1]]
    assert headline(confusion) == pytest.approx([4 / 6, (3 / 4 + 1 / 2) / 2, (6 / 8 + 2 / 4) / 2])


def test_class_that_does_not_occur_is_left_out_of_the_means():
    assert headline(np.array([[2, 2], [0, 0]])) == pytest.approx([0.5, 0.5, 2 / 3])


def test_interval_of_one_person_is_a_point():
    found = measure(score([0, 1, 1, 1], [0, 0, 1, 1], ["p"] * 4), NAMES).accuracy
    assert (found.value, found.low, found.high) == (0.75, 0.75, 0.75)


def test_interval_resamples_people_not_frames():
    # two people, one all right and one all wrong: draws give 0, 1/2 or 1
    frames = score([0] * 50 + [1] * 50, [0] * 100, ["p"] * 50 + ["q"] * 50)
    found = measure(frames, NAMES).accuracy
    assert (found.low, found.high) == (0.0, 1.0)


def test_interval_is_the_same_each_time():
    frames = score([0, 1, 0, 1, 1], [0, 1, 1, 1, 0], list("pqrst"))
    assert measure(frames, NAMES) == measure(frames, NAMES)


def test_clip_is_the_mean_of_its_frames():
    frames = Scored(
        np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]),
        np.array([0, 0, 1]),
        ("p",) * 3,
        ("x", "x", "y"),
    )
    clips = frames.by_clip()
    assert clips.probs.tolist() == [pytest.approx([0.55, 0.45]), [0.4, 0.6]]


def test_figures_of_a_class_are_worked_by_hand():
    found = measure(score([0, 0, 1, 1], [0, 1, 1, 1], "pqrs"), NAMES).per_class["b"]
    assert (found.count, found.precision, found.recall) == (3, 1.0, pytest.approx(2 / 3))
    assert found.f1 == pytest.approx(0.8)


def test_threshold_maximises_youdens_index():
    # at 0.6 both positives are found and one of three negatives: J = 1 - 1/3
    scores = np.array([0.1, 0.2, 0.6, 0.7, 0.8])
    positive = np.array([False, False, True, False, True])
    assert choose_threshold(scores, positive) == pytest.approx(0.4)


def test_area_under_the_curve_is_undefined_for_one_class():
    assert auroc(np.array([0.1, 0.9]), np.array([True, True])) is None
