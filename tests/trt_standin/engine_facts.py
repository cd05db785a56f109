"""What every engine promises, for the TensorRT path: PyCUDA and its code are the real ones."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pycuda.driver as cuda
import pytest
from tensorrt import IExecutionContext

from engines.base import OUTPUTS, run_frames
from engines.errors import EngineError
from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from engines.options import EngineOptions, parse_batch
from engines.trt import compile_engine, load_engine, slot
from tests.trt_standin.conftest import (
    UP_TO_4,
    noise,
    require_equal,
    require_no_context,
    require_nothing_left,
)
from tests.trt_standin.nets import save_int8_net


@pytest.fixture(autouse=True)
def nothing_is_left(driver):
    yield
    require_nothing_left(driver)


def quiet(line):
    pass


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_answers_are_those_of_onnx_runtime(engine, reference, count):
    for seed in range(3):
        frames = noise(count, seed)
        require_equal(engine.submit(frames).result(), reference(frames))


def test_half_precision_answers_are_near_those_of_onnx_runtime(model, reference):
    engine = load_engine(model, EngineOptions(precision="fp16"), None)
    frames = noise(1)
    require_equal(engine.submit(frames).result(), reference(frames), atol=5e-3)
    assert engine.info.precision == "fp16"
    engine.close()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_shipped_model_agrees_with_the_reference(precision):
    shipped = load_model(DEMO_MODEL)
    frames = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    answers = []
    for name, options in (
        ("tensorrt", EngineOptions(precision, parse_batch("2"))),
        ("onnxruntime", EngineOptions()),
    ):
        engine = open_engine(shipped, name, options)
        answers.append(run_frames(engine, frames))
        engine.close()
    limit = 1e-4 if precision == "fp32" else 2e-2
    assert np.abs(answers[0].probs - answers[1].probs).max() < limit


def test_answers_come_in_order_and_do_not_depend_on_the_batch(engine):
    frames = noise(17, seed=1)
    together = run_frames(engine, frames)
    alone = [run_frames(engine, frame[None]) for frame in frames]
    for name in OUTPUTS:
        single = np.concatenate([getattr(answer, name) for answer in alone])
        assert np.allclose(getattr(together, name), single, atol=1e-6)


def test_answers_may_be_collected_late_and_in_any_order(engine, reference):
    frames = noise(9, seed=2)
    pending = [engine.submit(frame[None]) for frame in frames]
    late = [p.result().probs for p in reversed(pending)][::-1]
    assert np.allclose(np.concatenate(late), reference(frames).probs, atol=1e-6)


def test_answers_belong_to_the_caller(engine):
    first = engine.submit(noise(1)).result()
    before = first.cam.copy()
    run_frames(engine, noise(8, seed=3))
    assert np.array_equal(first.cam, before)


def test_the_caller_may_ask_twice(engine):
    pending = engine.submit(noise(1))
    assert pending.result() is pending.result()


def test_two_runs_are_in_flight_before_anybody_waits(engine, driver):
    before = driver.stats().synchronises
    pending = [engine.submit(noise(1)), engine.submit(noise(1))]
    assert engine.depth == 2
    assert driver.stats().synchronises == before
    assert driver.stats().pending == 2 * (1 + 1 + len(OUTPUTS))
    for run in pending:
        run.result()


def test_between_calls_no_context_is_current(engine):
    require_no_context()
    pending = engine.submit(noise(1))
    require_no_context()
    pending.result()
    require_no_context()


def test_for_latency_one_run_is_in_flight(model, plan, reference):
    engine = load_engine(model, replace(UP_TO_4, mode="latency"), plan)
    assert engine.depth == 1
    runs = [engine.submit(noise(1, seed)) for seed in range(3)]
    require_equal(runs[0].result(), reference(noise(1, 0)))
    engine.close()


def test_others_who_use_the_default_stream_do_not_wait_for_a_run(engine, driver):
    pending = engine.submit(noise(1))
    with engine._device.active():
        cuda.memcpy_htod(cuda.mem_alloc(4), np.zeros(1, np.float32))
    assert driver.stats().pending == 2 + len(OUTPUTS)
    pending.result()


def test_every_copy_is_from_or_to_pinned_memory(engine, driver):
    before = driver.stats().pageable_copies
    run_frames(engine, noise(9))
    assert driver.stats().pageable_copies == before


def test_more_frames_than_the_profile_takes_are_refused(engine):
    with pytest.raises(ValueError, match="5 frames in one run: expected 1 to 4"):
        engine.submit(noise(5))


def test_fewer_frames_than_the_profile_takes_are_filled_up(model, reference):
    engine = load_engine(model, EngineOptions(batch=parse_batch("2:4:4")), None)
    output = engine.submit(noise(1)).result()
    assert len(output.probs) == 1
    require_equal(output, reference(noise(1)))
    engine.close()


def test_a_frame_of_another_size_is_refused(engine):
    with pytest.raises(ValueError, match=r"expected \(N, \*\(32, 32, 3\)\) uint8"):
        engine.submit(np.zeros((1, 16, 16, 3), np.uint8))


def test_two_threads_with_an_engine_each_get_their_own_answers(model, plan, reference):
    barrier = threading.Barrier(2)

    def work(seed):
        engine = load_engine(model, UP_TO_4, plan)
        barrier.wait()
        output = run_frames(engine, noise(40, seed))
        engine.close()
        return output

    with ThreadPoolExecutor(2) as pool:
        for seed, output in enumerate(pool.map(work, range(2))):
            require_equal(output, reference(noise(40, seed)))


def test_an_engine_opened_in_one_thread_answers_in_another(engine, reference):
    with ThreadPoolExecutor(1) as pool:
        output = pool.submit(lambda: engine.submit(noise(2)).result()).result()
    require_equal(output, reference(noise(2)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f08_an_answer_that_is_no_number_is_an_error(monkeypatch, engine, value):
    read = slot.Slot.read
    monkeypatch.setattr(slot.Slot, "read", lambda self, count: spoil(read(self, count), value))
    with pytest.raises(EngineError, match=r"\[F08\]"):
        engine.submit(noise(1)).result()


def spoil(output, value):
    output.cam[0, 1, 2, 3] = value
    return output


def test_int8_answers_are_near_those_of_onnx_runtime_on_the_same_file(tmp_path):
    quantized = load_model(save_int8_net(tmp_path / "net.onnx"))
    options = EngineOptions("int8", parse_batch("4"))
    answers = []
    for name in ("tensorrt", "onnxruntime"):
        engine = open_engine(quantized, name, options)
        answers.append(run_frames(engine, noise(4)))
        engine.close()
    # The depthwise convolution is half here and int8 there.
    require_equal(*answers, atol=5e-2)


def test_closing_waits_for_runs_under_way_and_may_come_twice(model, plan, reference):
    engine = load_engine(model, UP_TO_4, plan)
    pending = engine.submit(noise(2))
    engine.close()
    engine.close()
    require_equal(pending.result(), reference(noise(2)))


def test_m06_a_plan_for_another_batch_is_refused(model, plan):
    with pytest.raises(EngineError, match=r"\[M06\].*\(4, 32, 32, 3\).*expected"):
        load_engine(model, EngineOptions(batch=parse_batch("8")), plan)


def test_m06_a_shape_that_tensorrt_refuses_is_an_error(monkeypatch, engine):
    monkeypatch.setattr(IExecutionContext, "set_input_shape", lambda self, name, shape: False)
    with pytest.raises(EngineError, match=r"\[M06\].*refuses 1 frames"):
        engine.submit(noise(1))


def test_m06_a_damaged_plan_is_refused_in_the_words_of_tensorrt(model, plan):
    with pytest.raises(EngineError, match=r"\[M06\].*cannot load the plan: .*magic"):
        load_engine(model, UP_TO_4, b"?" + plan)


def test_m06_a_plan_of_another_version_is_refused_unless_made_for_it(monkeypatch, model, plan):
    portable = replace(UP_TO_4, version_compatible=True)
    compatible = compile_engine(model, portable, quiet)
    monkeypatch.setattr("tensorrt.__version__", "11.5.0.1")
    with pytest.raises(EngineError, match=r"\[M06\].*another version"):
        load_engine(model, UP_TO_4, plan)
    with pytest.raises(EngineError, match=r"\[M06\].*host code is not allowed"):
        load_engine(model, UP_TO_4, compatible)
    load_engine(model, portable, compatible).close()
