"""Facts about temperature scaling and calibration error."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from calib.temperature import (
    calibration_error,
    choose_threshold,
    fit_temperature,
    mean_surprise,
    soften,
)


def test_temperature_of_a_known_odds_is_exact():
    # logit gap 2, right 3 times in 4: the best probability is 3/4, so 2 / T = log 3
    logits = np.array([[2.0, 0.0]] * 4, np.float32)
    labels = np.array([0, 0, 0, 1])
    assert fit_temperature(logits, labels) == pytest.approx(2 / np.log(3), abs=1e-4)


def test_temperature_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 2))
    labels = (inputs[:, 0] + rng.normal(size=400) > 0).astype(int)
    sharp = LogisticRegression(C=1e6).fit(inputs[:20], labels[:20])
    theirs = CalibratedClassifierCV(FrozenEstimator(sharp), method="temperature")
    theirs.fit(inputs[20:], labels[20:])
    gap = sharp.decision_function(inputs[20:])
    logits = np.stack([np.zeros_like(gap), gap], axis=1).astype(np.float32)
    ours = soften(logits, fit_temperature(logits, labels[20:]))
    assert np.abs(ours - theirs.predict_proba(inputs[20:])).max() < 1e-3


def test_temperature_lowers_the_surprise_and_keeps_the_order():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 300)
    logits = (np.eye(3)[labels] * 4 + rng.normal(size=(300, 3)) * 6).astype(np.float32)
    temperature = fit_temperature(logits, labels)
    raw, warm = soften(logits, 1.0), soften(logits, temperature)
    assert mean_surprise(logits, labels, temperature) < mean_surprise(logits, labels, 1.0)
    assert (raw.argmax(1) == warm.argmax(1)).all()


def test_calibration_error_of_two_bins_is_worked_by_hand():
    # 0.95 twice, once right: gap 0.45; 0.55 twice, both right: gap 0.45
    probs = np.array([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45], [0.55, 0.45]])
    labels = np.array([0, 1, 0, 0])
    assert calibration_error(probs, labels) == pytest.approx(0.45)


def test_temperature_refuses_logits_that_are_not_finite():
    with pytest.raises(ValueError, match="finite"):
        fit_temperature(np.array([[np.nan, 0.0]], np.float32), np.array([0]))


def test_threshold_maximises_youdens_index():
    # at 0.6 both positives are found and one of three negatives: J = 1 - 1/3
    scores = np.array([0.1, 0.2, 0.6, 0.7, 0.8])
    positive = np.array([False, False, True, False, True])
    assert choose_threshold(scores, positive) == pytest.approx(0.4)


def test_threshold_without_a_positive_frame_is_one_half():
    assert choose_threshold(np.array([0.1, 0.9]), np.array([False, False])) == 0.5
