"""Facts about figures, worked by hand or checked against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    roc_auc_score,
)

from calib.temperature import calibration_error
from train.scoring.metrics import DRAWS, Figure, count_confusion, measure
from train.scoring.scored import Scored
from train.scoring.weighted import (
    Cases,
    area_under_pr,
    area_under_roc,
    rank,
    weigh,
    weigh_confusion,
)

NAMES = ("a", "b")


def score(chosen, labels, groups, sources=None):
    probs = np.where(np.asarray(chosen)[:, None] == [0, 1], 0.9, 0.1)
    return Scored(probs, np.asarray(labels), tuple(groups), tuple(sources or groups))


def ties(count=200, classes=3):
    """Return seeded predictions with many equal scores, of 20 people."""
    rng = np.random.default_rng(0)
    probs = rng.integers(1, 5, (count, classes)).astype(float)
    labels, people = rng.integers(0, classes, count), rng.integers(0, 20, count)
    return Cases(probs / probs.sum(axis=1, keepdims=True), labels, people)


def scored_ties():
    cases = ties()
    names = tuple(f"p{person:02}" for person in cases.people)
    return Scored(cases.probs, cases.labels, names, names, cases.probs**2)


def test_headline_of_a_small_table_is_worked_by_hand():
    # truth a: 3 right, 1 wrong; truth b: 1 right, 1 wrong
    cells = count_confusion(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0]), 2)
    assert cells.tolist() == [[3, 1], [1, 1]]
    found = weigh_confusion(cells[None].astype(float))
    headline = [found[name][0] for name in ("accuracy", "balanced_accuracy", "macro_f1")]
    assert headline == pytest.approx([4 / 6, (3 / 4 + 1 / 2) / 2, (6 / 8 + 2 / 4) / 2])
    assert found["specificity"][0].tolist() == [0.5, 0.75]


def test_class_that_does_not_occur_is_left_out_of_the_means():
    found = weigh_confusion(np.array([[[2.0, 2.0], [0.0, 0.0]]]))
    assert found["balanced_accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(2 / 3)


def test_every_figure_agrees_with_scikit_learn_on_ties_and_weights():
    cases = ties()
    times = np.random.default_rng(1).integers(0, 4, (1, 20)).astype(float)
    found, weights = weigh(cases, times), times[0][cases.people]
    said, truth = cases.chosen, cases.labels
    assert found["balanced_accuracy"][0] == pytest.approx(
        balanced_accuracy_score(truth, said, sample_weight=weights)
    )
    assert found["f1"][0] == pytest.approx(
        f1_score(truth, said, average=None, sample_weight=weights)
    )
    assert found["brier"][0] == pytest.approx(
        brier_score_loss(truth, cases.probs, sample_weight=weights)
    )
    for place in range(3):
        scores, positive = cases.probs[:, place], truth == place
        expected = roc_auc_score(positive, scores, sample_weight=weights)
        assert found["auroc"][0, place] == pytest.approx(expected)
        expected = average_precision_score(positive, scores, sample_weight=weights)
        assert found["auprc"][0, place] == pytest.approx(expected)


def test_brier_score_of_two_classes_is_the_halved_one():
    cases = ties(classes=2)
    found = weigh(cases, np.ones((1, 20)))["brier"][0]
    assert found == pytest.approx(brier_score_loss(cases.labels == 1, cases.probs[:, 1]))


def test_calibration_error_is_the_one_of_calib():
    found = measure(scored_ties(), "abc")
    cases = ties()
    assert found.calibration_error.value == pytest.approx(
        calibration_error(cases.probs, cases.labels)
    )


def test_areas_of_four_cases_are_worked_by_hand():
    # falling: + - + -; of four pairs three are right; precision 1 and 2/3 at recall 1/2 and 1
    ranking = rank(np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False]))
    curve = ranking.count(np.ones((1, 4)))
    assert area_under_roc(*curve) == pytest.approx(3 / 4)
    assert area_under_pr(*curve) == pytest.approx((1 + 2 / 3) / 2)


def test_area_of_fawcetts_twenty_cases_is_as_counted():
    # Fawcett, "An introduction to ROC analysis", 2006, figure 3: 68 of 100 pairs are in order
    positive = np.array([letter == "p" for letter in "ppnpppnnpnpnpnnnpnpn"])
    curve = rank(-np.arange(20.0), positive).count(np.ones((1, 20)))
    assert area_under_roc(*curve) == pytest.approx(0.68)


def test_interval_of_one_person_is_a_point():
    found = measure(score([0, 1, 1, 1], [0, 0, 1, 1], ["p"] * 4), NAMES).accuracy
    assert (found.value, found.low, found.high) == (0.75, 0.75, 0.75)


def test_interval_resamples_people_not_frames():
    # two people, one all right and one all wrong: draws give 0, 1/2 or 1
    frames = score([0] * 50 + [1] * 50, [0] * 100, ["p"] * 50 + ["q"] * 50)
    found = measure(frames, NAMES).accuracy
    assert (found.low, found.high) == (0.0, 1.0)


def test_interval_of_every_person_alike_is_the_normal_one_of_the_mean():
    # 400 people, one frame each, 300 right: 0.75 +- 1.96 sqrt(0.75 * 0.25 / 400) = 0.75 +- 0.0424
    names = [f"p{number}" for number in range(400)]
    found = measure(score([0] * 300 + [1] * 100, [0] * 400, names), NAMES).accuracy
    assert (found.low, found.high) == pytest.approx((0.7076, 0.7924), abs=0.006)


def test_figures_do_not_depend_on_the_order_of_frames():
    scored = scored_ties()
    shuffled = scored.take(np.random.default_rng(2).permutation(200))
    for level in (lambda s: s, Scored.by_clip, Scored.by_person):
        assert measure(level(shuffled), "abc") == measure(level(scored), "abc")


def test_clip_is_the_mean_of_its_frames_and_person_of_their_clips():
    frames = Scored(
        np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]]),
        np.array([0, 0, 1, 1]),
        ("p",) * 4,
        ("x", "x", "y", "z"),
    )
    clips, people = frames.by_clip(), frames.by_person()
    assert clips.probs[:2].tolist() == [pytest.approx([0.55, 0.45]), [0.4, 0.6]]
    assert people.probs.tolist() == [pytest.approx([0.55, 0.45]), pytest.approx([0.25, 0.75])]
    assert (people.groups, people.labels.tolist()) == (("p", "p"), [0, 1])


def test_figures_of_a_class_are_worked_by_hand():
    found = measure(score([0, 0, 1, 1], [0, 1, 1, 1], "pqrs"), NAMES, "b")
    row = found.per_class["b"]
    assert (found.positive, row.count, row.precision.value) == ("b", 3, 1.0)
    assert (row.recall.value, row.f1.value) == (pytest.approx(2 / 3), pytest.approx(0.8))
    assert row.specificity.value == 1.0


def test_figure_that_nothing_defines_is_none_and_draws_without_it_are_counted():
    # b occurs in one of four people: a draw misses them with (3/4)^4 = 0.32
    row = measure(score([0, 0, 0, 1], [0, 0, 0, 1], "pqrs"), ("a", "b", "c")[:2]).per_class["b"]
    assert row.recall.undefined == pytest.approx(0.32 * DRAWS, rel=0.1)
    assert "draws undefined" in str(row.recall)
    alone = measure(score([0, 0], [0, 0], "pq"), NAMES).per_class
    assert (alone["a"].auroc, alone["b"].recall, alone["b"].auprc) == (None, None, None)


def test_figure_says_value_and_interval():
    assert str(Figure(0.5, 0.25, 0.75, 3)) == "0.500 (0.250 to 0.750)"


def test_raw_probabilities_give_the_error_without_temperature():
    scored = scored_ties()
    expected = calibration_error(scored.raw, scored.labels)
    assert measure(scored, "abc").uncalibrated_error.value == pytest.approx(expected)
    plain = Scored(scored.probs, scored.labels, scored.groups, scored.sources)
    assert measure(plain, "abc").uncalibrated_error is None
