"""Facts about the acceptance gate: its figures, worked by hand, and what its limits refuse."""

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from calib.agreement import compare_best, correlate_maps, gate, logit_snr_db, measure_agreement
from calib.limits import LIMITS, judge
from calib.paired import auroc_change, calibration_change
from calib.temperature import calibration_error, soften
from engines.base import run_frames
from engines.errors import EngineError
from engines.load import load_model
from engines.open import open_engine
from engines.sidecar import Figure
from tests.gate_frames import make_colours
from tests.tiny_model import SPEC, build_tiny, save_tiny

FRAMES = make_colours()
ALONE = np.arange(4)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    engine = open_engine(load_model(save_tiny(tmp_path_factory.mktemp("model"))), "onnxruntime")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def wanted(reference):
    return run_frames(reference, FRAMES.inputs)


def measure(wanted, found, frames=FRAMES, spec=SPEC):
    return measure_agreement(wanted, found, frames, (SPEC, spec))


def missed(wanted, **changes):
    lines = judge(measure(wanted, dataclasses.replace(wanted, **changes)))
    return {line.split()[0] for line in lines}


def test_area_change_is_that_of_pairs_put_right():
    truth = np.array([True, False, True, False])
    one, other = np.array([0.9, 0.8, 0.3, 0.1]), np.array([0.9, 0.3, 0.8, 0.1])
    assert auroc_change(one, other, truth, ALONE).value == 0.25
    assert auroc_change(one, np.full(4, 0.5), truth, ALONE).value == -0.25


@given(st.integers(0, 2**32 - 1))
def test_area_change_equals_the_difference_of_two_published_areas(seed):
    rng = np.random.default_rng(seed)
    truth = np.append(rng.random(38) < 0.4, [True, False])
    one, other = rng.integers(0, 12, (2, 40)) / 11
    expected = roc_auc_score(truth, other) - roc_auc_score(truth, one)
    found = auroc_change(one, other, truth, rng.integers(0, 5, 40))
    assert found.value == pytest.approx(expected, abs=1e-12)


def test_calibration_change_is_the_loss_of_confidence():
    sure, unsure = np.array([[1.0, 0.0]] * 4), np.array([[0.8, 0.2]] * 4)
    labels = np.zeros(4, np.int64)
    assert calibration_change(sure, unsure, labels, ALONE).value == pytest.approx(0.2)


def test_calibration_change_equals_the_difference_of_two_errors():
    rng = np.random.default_rng(1)
    one, other = soften(rng.normal(size=(2, 50, 3)).reshape(100, 3), 0.5).reshape(2, 50, 3)
    labels = rng.integers(0, 3, 50)
    found = calibration_change(one, other, labels, rng.integers(0, 9, 50))
    expected = calibration_error(other, labels) - calibration_error(one, labels)
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high


def test_more_frames_of_the_same_people_do_not_narrow_the_interval():
    rng = np.random.default_rng(2)
    truth, groups = rng.random(40) < 0.5, np.arange(40) % 8
    one, other = rng.random((2, 40))
    twice = [np.tile(part, 2) for part in (one, other, truth, groups)]
    once = msgspec.structs.astuple(auroc_change(one, other, truth, groups))
    assert msgspec.structs.astuple(auroc_change(*twice)) == pytest.approx(once)


def test_frames_of_one_person_give_no_interval():
    truth = np.array([True, False, True, False])
    assert auroc_change(np.arange(4.0), np.arange(4.0), truth, np.zeros(4, int)) == Figure(0.0)


BEST = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.1])


@pytest.mark.parametrize(
    ("found", "kept", "order"),
    [
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.1], 1.0, 1.0),
        ([0.8, 0.9, 0.7, 0.6, 0.5, 0.1], 1.0, 0.8),
        ([0.5, 0.6, 0.7, 0.8, 0.9, 0.1], 1.0, -1.0),
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.95], 0.8, 1.0),
    ],
)
def test_top_five_order_counts_exchanged_pairs(found, kept, order):
    answer = compare_best(BEST, np.array(found))
    assert answer == {"top5_kept": kept, "top5_order": pytest.approx(order)}


def test_frames_that_the_reference_cannot_tell_apart_may_change_places():
    equal = np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.8996, 0.1])
    found = np.array([0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.1])
    assert compare_best(equal, found) == {"top5_kept": 1.0, "top5_order": 1.0}


def checkers(height):
    """Return a map (1, 1, 2, 2) whose standard deviation is `height`."""
    return np.float32(height) * np.array([[[[1, -1], [-1, 1]]]], np.float32)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (0.0, 0.0, 1.0),
        (0.5, 0.5, 1.0),
        (0.03, 0.0, 1 / np.sqrt(10)),
        (1.0, -1.0, (1e-4 - 1) / (1e-4 + 1)),
    ],
)
def test_flat_maps_agree_and_a_flat_and_a_drawn_one_do_not(one, other, expected):
    found = correlate_maps(checkers(one), checkers(other) + 7, (1.0,))
    assert found[0, 0] == pytest.approx(expected, rel=1e-5)


def test_a_tenth_of_the_amplitude_is_twenty_decibels():
    logits = np.array([[3.0, 4.0]], np.float32)
    assert logit_snr_db(logits, logits + np.float32([0, 0.5])) == pytest.approx(20)


def test_the_same_answers_pass_with_exact_figures(wanted):
    figures = measure(wanted, wanted)
    assert judge(figures) == ()
    assert figures["top1_agreement"].value == figures["cam_correlation"].value == 1.0
    assert figures["prob_change_max"].value == 0.0
    assert figures["auroc_change"] == figures["ece_change"] == Figure(0.0, 0.0, 0.0)
    assert figures["logit_snr_db"].value == 150.0


def test_each_engine_decides_at_its_own_threshold(wanted):
    spec = msgspec.structs.replace(SPEC, threshold=0.999)
    positive = (wanted.probs[:, 1] >= 0.5).mean()
    assert measure(wanted, wanted, spec=spec)["decisions_changed"].value == positive


def test_unlabelled_frames_count_in_no_figure_of_labels(wanted):
    frames = dataclasses.replace(FRAMES, labels=np.full(64, -1))
    assert "ece_change" not in measure(wanted, wanted, frames)


def test_noise_is_refused(wanted):
    rng = np.random.default_rng(3)
    logits = wanted.logits + rng.normal(0, 2, wanted.logits.shape).astype(np.float32)
    probs = soften(logits, 2.0).astype(np.float32)
    assert missed(wanted, logits=logits, probs=probs) >= {"top1_agreement", "logit_snr_db"}


def test_a_wrong_temperature_is_refused(wanted):
    probs = soften(wanted.logits, 4.0).astype(np.float32)
    assert "prob_change_mean" in missed(wanted, probs=probs)


def test_exchanged_classes_are_refused(wanted):
    turned = {name: getattr(wanted, name)[:, ::-1] for name in ("logits", "probs")}
    assert missed(wanted, **turned) >= {"top1_agreement", "decisions_changed", "auroc_change"}


def test_maps_of_another_frame_are_refused(wanted):
    cam = np.random.default_rng(4).normal(size=wanted.cam.shape).astype(np.float32)
    assert "cam_correlation" in missed(wanted, cam=cam)


def test_a_change_is_held_against_the_worse_end_of_its_interval():
    figures = {"auroc_change": Figure(0.0, -0.02, 0.02)}
    assert judge(figures)[0].startswith("auroc_change 0 (-0.02 to 0.02): at least -0.01")
    assert judge({"auroc_change": Figure(0.0, -0.001, 0.02)}) == ()


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.figure)
def test_nan_keeps_no_limit(limit):
    assert not limit.keeps(Figure(float("nan")))


def test_gate_refuses_two_black_frames(reference):
    black = FRAMES.take(np.zeros(64, np.int64))
    verdict = gate(reference, reference, dataclasses.replace(black, inputs=black.inputs * 0))
    assert not verdict.accepted
    assert verdict.missed[0] == "distinct_frames 1: at least 32 (few frames prove little)"
    assert verdict.missed[1].startswith("minority_share 0:")


def test_gate_accepts_openvino_and_says_on_what(reference):
    engine = open_engine(reference.model, "openvino")
    verdict = gate(engine, reference, FRAMES)
    engine.close()
    assert (verdict.accepted, verdict.frames, verdict.frames_from) == (True, 64, "plain colours")
    assert verdict.frames_digest == FRAMES.digest()


class Failing:
    """An engine that stops answering after one frame."""

    def __init__(self, engine):
        self.model, self.depth, self.max_batch, self.asked = engine.model, 1, 1, 0
        self.engine = engine

    def submit(self, frames):
        self.asked += 1
        if self.asked > 1:
            raise EngineError("tiny", "outputs hold NaN or infinity", fault="F08")
        return self.engine.submit(frames)


def test_f08_an_engine_that_answers_nan_is_rejected_with_that_reason(reference):
    verdict = gate(Failing(reference), reference, FRAMES)
    assert not verdict.accepted
    assert verdict.missed == ("the engine failed: outputs hold NaN or infinity",)


def test_f08_figures_are_never_made_of_nan(wanted):
    with pytest.raises(EngineError, match=r"\[F08\]"):
        measure(wanted, dataclasses.replace(wanted, logits=wanted.logits * np.float32(np.nan)))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [({"name": "other"}, "M08"), ({"positive_class": "blue"}, "M07")],
)
def test_gate_compares_an_engine_with_its_own_reference_only(reference, tmp_path, changes, fault):
    if fault == "M07":
        changes = changes | {"reference_digest": reference.model.digest}
    engine = open_engine(load_model(save_tiny(tmp_path, build_tiny(**changes))), "onnxruntime")
    with pytest.raises(EngineError, match=rf"\[{fault}\]"):
        gate(engine, reference, FRAMES)
    engine.close()
