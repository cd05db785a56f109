"""Facts about the ranker."""

import numpy as np
import pytest

from stream.analysis.score import map_strength
from stream.analysis.topk import TopK
from stream.config import AnalysisConfig
from stream.errors import UsageError
from tests.frames import make_frame, make_prediction
from tests.tiny_model import SPEC

S = 1_000_000_000


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


def test_f15_a_copy_of_a_kept_frame_is_never_kept():
    topk = TopK(SPEC, AnalysisConfig())
    for seq in range(10):
        topk.offer(make_frame(seq), make_prediction(0, 0.9), seq * 10 * S)
    assert len(topk.ranked()) == 1


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


def test_online_swaps_reach_the_best_set_found_by_exhaustive_search():
    from itertools import combinations

    rng = np.random.default_rng(4)
    values = rng.uniform(0, 1, 12)
    best = max(combinations(range(12), 3), key=lambda chosen: sum(values[list(chosen)]))
    assert sorted(rank(values, top_k=3)) == sorted(best)


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
        assert map_strength(make_prediction(0, 0.9, cam=cam), SPEC) == strength


def test_doubt_ranks_frames_near_the_threshold_first():
    assert rank([0.99, 0.52, 0.1], top_k=1, score="doubt-v1") == [1]


def test_an_unknown_score_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="evidence-v1, doubt-v1"):
        TopK(SPEC, AnalysisConfig(score="best"))
