"""One contract for every engine."""

import subprocess
import sys

import numpy as np
import pytest

from engines.base import OUTPUTS, EngineOutput, run_frames
from engines.errors import EngineError
from engines.load import load_model
from engines.open import installed_engines, open_engine
from tests.engine_cases import as_params
from tests.tiny_model import BIAS, SPEC, WEIGHT, save_tiny

COLOUR = np.array([200, 30, 50], np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module", params=as_params())
def case(request):
    return request.param


@pytest.fixture(scope="module")
def engine(case, model):
    engine = case.build(model, case.options)
    yield engine
    engine.close()


def plain(*shape):
    return np.broadcast_to(COLOUR, (*shape, 32, 32, 3)).copy()


def noise(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)


def test_features_logits_and_probs_are_those_worked_by_hand(engine, case):
    output = run_frames(engine, plain(1))
    colour = COLOUR / 255
    logits = colour @ WEIGHT.T + BIAS
    odds = np.exp(logits / 2)
    assert np.allclose(output.features[0], colour, atol=case.tolerance)
    assert np.allclose(output.logits[0], logits, atol=case.tolerance)
    assert np.allclose(output.probs[0], odds / odds.sum(), atol=case.tolerance)


def test_the_map_sums_to_the_logit_less_the_bias(engine, case):
    output = run_frames(engine, noise(0, 3))
    assert np.allclose(output.cam.sum((2, 3)) + BIAS, output.logits, atol=case.tolerance)


def test_the_map_peaks_in_the_red_cell(engine):
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[8:16, 24:32, 0] = 255
    cam = run_frames(engine, frame[None]).cam[0, 1]
    assert np.unravel_index(cam.argmax(), cam.shape) == (1, 3)


def test_answers_come_in_order_and_do_not_depend_on_the_batch(engine, case):
    frames = noise(1, 17)
    together = run_frames(engine, frames)
    alone = [run_frames(engine, frame[None]) for frame in frames]
    for name in OUTPUTS:
        each = np.concatenate([getattr(answer, name) for answer in alone])
        assert np.allclose(getattr(together, name), each, rtol=0, atol=case.tolerance / 10)


def test_one_frame_a_run_gives_the_same_bits_however_many_are_under_way(engine):
    frames = noise(1, 9)
    pending = [engine.submit(frame[None]) for frame in frames]
    together = np.concatenate([p.result().probs for p in pending])
    alone = np.concatenate([engine.submit(frame[None]).result().probs for frame in frames])
    assert np.array_equal(together, alone)


def test_a_batch_gives_one_answer_for_each_of_its_frames(engine):
    frames = noise(4, engine.max_batch)
    for count in range(1, engine.max_batch + 1):
        output = engine.submit(frames[:count]).result()
        assert {len(getattr(output, name)) for name in OUTPUTS} == {count}


def test_answers_belong_to_the_caller(engine):
    first = engine.submit(plain(1)).result()
    before = first.probs.copy()
    run_frames(engine, np.zeros((8, 32, 32, 3), np.uint8))
    assert np.array_equal(first.probs, before)


def test_answers_may_be_collected_late_and_in_any_order(engine):
    frames = noise(2, 9)
    pending = [engine.submit(frame[None]) for frame in frames]
    late = [p.result().probs for p in reversed(pending)][::-1]
    alone = [engine.submit(frame[None]).result().probs for frame in frames]
    assert np.array_equal(np.concatenate(late), np.concatenate(alone))


def test_a_mirrored_view_of_frames_is_read_as_it_is_seen(engine):
    frames = noise(5, 1)
    mirrored = engine.submit(frames[:, :, ::-1]).result()
    copied = engine.submit(frames[:, :, ::-1].copy()).result()
    assert np.array_equal(mirrored.cam, copied.cam)


def test_a_frame_of_another_size_is_refused(engine):
    with pytest.raises(ValueError, match=r"expected \(N, \*\(32, 32, 3\)\) uint8"):
        engine.submit(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.parametrize("more", [True, False])
def test_no_frames_or_too_many_are_refused(engine, more):
    count = engine.max_batch + 1 if more else 0
    with pytest.raises(ValueError, match=f"{count} frames in one run: expected 1 to"):
        engine.submit(noise(0, count))


def test_the_engine_says_what_it_is_and_takes(engine, case, model):
    assert engine.info.precision == case.options.precision
    assert engine.max_batch == case.options.batch.most
    assert engine.model.spec.name == model.spec.name


def test_both_cpu_engines_are_part_of_the_core_install():
    assert [n for n in installed_engines() if n in ("openvino", "onnxruntime")] == [
        "openvino",
        "onnxruntime",
    ]


def test_an_unknown_engine_is_refused_by_name(model):
    with pytest.raises(EngineError, match="engine abacus"):
        open_engine(model, "abacus")


def answer(**changes):
    arrays = {
        "logits": np.zeros((1, 2), np.float32),
        "probs": np.full((1, 2), 0.5, np.float32),
        "cam": np.zeros((1, 2, 4, 4), np.float32),
        "features": np.zeros((1, 3), np.float32),
    }
    return EngineOutput(**(arrays | changes))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f08_nan_or_infinity_is_an_error_and_not_a_score(value):
    with pytest.raises(EngineError, match=r"\[F08\]"):
        answer(logits=np.array([[0, value]], np.float32)).check(SPEC)


def test_f08_both_infinities_and_shapeless_answers_are_errors_too():
    for logits in ([[np.inf, -np.inf]], 0.0):
        with pytest.raises(EngineError, match=r"\[F08\]"):
            answer(logits=np.array(logits, np.float32)).check(SPEC)
    with pytest.raises(EngineError, match=r"\[F08\]"):
        answer(probs=np.array(0.5, np.float32)).check(SPEC)


def test_f08_wrong_class_count_is_an_error():
    with pytest.raises(EngineError, match=r"\[F08\]"):
        answer(probs=np.zeros((1, 3), np.float32)).check(SPEC)


def test_opening_openvino_loads_no_telemetry_and_starts_no_thread():
    program = (
        "import sys, threading, engines.ov\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
