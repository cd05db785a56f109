"""Facts about the ranker."""

from itertools import combinations

import numpy as np
import pytest

from engines.preprocess import place
from stream.analysis.score import evidence_v1, map_strength
from stream.analysis.topk import TopK
from stream.config import AnalysisConfig
from stream.errors import UsageError
from tests.frames import make_frame, make_prediction
from tests.tiny_model import SPEC

S = 1_000_000_000
WHERE = place((64, 64), SPEC.input_wh, SPEC.fit)


def rank(values, *, step_s=2.0, same=False, **settings):
    """Offer frames with these probabilities; return the kept seq numbers, best first."""
    topk = TopK(SPEC, AnalysisConfig(**settings))
    for seq, red in enumerate(values):
        features = np.ones(64, np.float32) + seq * 1e-3 * np.eye(1, 64)[0].astype(np.float32)
        prediction = make_prediction(seq, red, features=features if same else None)
        topk.offer(make_frame(seq), prediction, round(seq * step_s * S))
    return [kept.frame.id.seq for kept in topk.ranked()]


def test_ranker_keeps_the_best_k_in_order_of_score():
    assert rank([0.1, 0.9, 0.5, 0.8, 0.2, 0.7], top_k=3) == [1, 3, 5]


def test_ranker_keeps_earlier_frame_on_tie():
    assert rank([0.5] * 6, top_k=2) == [0, 1]
    assert rank([0.5, 0.5, 0.9], top_k=2) == [2, 0]


def test_ranker_keeps_all_frames_of_a_short_clip():
    assert rank([0.2, 0.4], top_k=5) == [1, 0]


def test_ranker_spreads_over_time():
    values = [0.90, 0.91, 0.92, 0.91, 0.90] + [0.1] * 20 + [0.85] + [0.1] * 20
    assert 25 in rank(values, step_s=0.04, top_k=2)
    assert 25 not in rank(values, step_s=0.04, top_k=2, diversity=0)


def test_ranker_spreads_over_features():
    topk = TopK(SPEC, AnalysisConfig(top_k=2))
    axis = np.eye(64, dtype=np.float32)
    for seq, (red, features) in enumerate(
        [(0.9, axis[0]), (0.89, axis[0] + axis[1] * 1e-2), (0.8, axis[5])]
    ):
        topk.offer(make_frame(seq), make_prediction(seq, red, features=features), seq * 10 * S)
    assert [kept.frame.id.seq for kept in topk.ranked()] == [0, 2]


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_f15_a_frozen_picture_is_kept_once(noise):
    topk = TopK(SPEC, AnalysisConfig())
    rng = np.random.default_rng(0)
    for seq in range(10):
        features = (1 + noise * rng.standard_normal(64)).astype(np.float32)
        prediction = make_prediction(seq, 0.9 + seq * 1e-5, features=features)
        topk.offer(make_frame(seq), prediction, seq * 10 * S)
    assert len(topk.ranked()) == 1


def test_stills_without_time_are_not_one_moment():
    topk = TopK(SPEC, AnalysisConfig(top_k=2))
    for seq, red in enumerate([0.9, 0.8, 0.7]):
        topk.offer(make_frame(seq, pts_ns=None), make_prediction(seq, red), seq)
    assert [kept.frame.id.seq for kept in topk.ranked()] == [0, 1]


def test_a_kept_frame_names_what_it_displaced():
    topk = TopK(SPEC, AnalysisConfig(top_k=1))
    topk.offer(make_frame(0), make_prediction(0, 0.2), 0)
    kept = topk.offer(make_frame(1), make_prediction(1, 0.9), 10 * S)
    assert kept.displaced.seq == 0
    assert kept.score_parts["probability"] == pytest.approx(0.9)


def test_a_kept_frame_survives_reuse_of_its_buffer():
    topk = TopK(SPEC, AnalysisConfig(top_k=1))
    image = np.full((64, 64), 7, np.uint8)
    topk.offer(make_frame(0, image=image), make_prediction(0, 0.9), 0)
    image[:] = 0
    assert (topk.ranked()[0].frame.image == 7).all()


def test_memory_is_k_frames_whatever_the_length():
    assert len(rank(np.linspace(0, 1, 500), top_k=5)) == 5


def objective(chosen, scores, units, times_s, config):
    """Work the ranker's objective out by hand for a set of frames."""
    cost = 0.0
    for i, j in combinations(chosen, 2):
        sine = max(0.0, 1 - float(units[i] @ units[j]) ** 2) ** 0.5
        near = max(0.0, 1 - abs(times_s[i] - times_s[j]) / config.moment_s)
        cost += 0.5 * near + 0.5 * (1 - sine)
    return sum(scores[i] for i in chosen) - config.diversity / (config.top_k - 1) * cost


@pytest.mark.parametrize("seed", range(20))
def test_online_swaps_come_within_two_percent_of_the_best_set(seed):
    rng, config = np.random.default_rng(seed), AnalysisConfig(top_k=3)
    features = np.abs(rng.standard_normal((14, 8))).astype(np.float32)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    reds, times_s = rng.uniform(0.3, 1, 14), np.arange(14) * 0.2
    topk, scores = TopK(SPEC, config), []
    for seq in range(14):
        prediction = make_prediction(seq, reds[seq], features=features[seq])
        topk.offer(make_frame(seq), prediction, round(times_s[seq] * S))
        scores.append(evidence_v1(prediction, SPEC, WHERE).value)
    values = [objective(c, scores, units, times_s, config) for c in combinations(range(14), 3)]
    kept = [ranked.frame.id.seq for ranked in topk.ranked()]
    assert objective(kept, scores, units, times_s, config) >= 0.98 * max(values)


def test_evidence_prefers_the_stronger_map_at_equal_probability():
    cams = [np.full((2, 4, 4), value, np.float32) for value in (0.05, 0.2, 0.1)]
    topk = TopK(SPEC, AnalysisConfig(top_k=1))
    for seq, cam in enumerate(cams):
        topk.offer(make_frame(seq), make_prediction(seq, 0.99, cam=cam), seq * 10 * S)
    (kept,) = topk.ranked()
    assert kept.frame.id.seq == 1
    assert kept.score == pytest.approx(0.99 * (0.5 + 0.5 * 0.8))  # peak 0.2 on a scale of 0.25


def test_strength_is_the_peak_on_the_models_scale_within_0_and_1():
    peaks = {-1.0: 0.0, 0.125: 0.5, 9.0: 1.0}
    for peak, strength in peaks.items():
        cam = np.full((2, 4, 4), peak, np.float32)
        assert map_strength(make_prediction(0, 0.9, cam=cam), SPEC, WHERE) == strength


def test_strength_leaves_the_letterbox_bars_out():
    cam = np.zeros((2, 4, 4), np.float32)
    cam[1, 0] = 9
    where = place((50, 100), (32, 32), "letterbox")
    assert map_strength(make_prediction(0, 0.9, cam=cam), SPEC, where) == 0.0


def test_doubt_ranks_frames_near_the_threshold_first():
    assert rank([0.99, 0.52, 0.1], top_k=1, score="doubt-v1") == [1]


def test_an_unknown_score_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="evidence-v1, doubt-v1"):
        TopK(SPEC, AnalysisConfig(score="best"))
