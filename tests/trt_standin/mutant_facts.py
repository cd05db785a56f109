"""Engines with one line missing: each must be caught, or the facts above would prove nothing."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pycuda.driver as cuda
import pytest

from engines.base import OUTPUTS, EngineOutput
from engines.errors import EngineError
from engines.trt import load_engine
from engines.trt.cuda import CudaDevice, Mirror
from engines.trt.run import TensorRtEngine
from engines.trt.slot import Slot
from tests.trt_standin.conftest import (
    UP_TO_4,
    noise,
    require_equal,
    require_no_context,
    require_nothing_left,
)


def test_an_engine_that_does_not_wait_answers_zeros(monkeypatch, model, plan, reference):
    engine = load_engine(model, UP_TO_4, plan)
    wait = Slot.wait
    monkeypatch.setattr(Slot, "wait", lambda self: None)
    output = engine.submit(noise(1)).result()
    assert not output.probs.any()
    with pytest.raises(AssertionError, match="logits"):
        require_equal(output, reference(noise(1)))
    monkeypatch.setattr(Slot, "wait", wait)
    with engine._device.active():
        engine._idle[-1].wait()
    engine.close()


@pytest.mark.parametrize("name", ["send", "fetch"])
def test_an_engine_that_forgets_a_copy_is_caught(monkeypatch, engine, reference, name):
    monkeypatch.setattr(Mirror, name, lambda self, rows, stream: None)
    with pytest.raises(AssertionError):
        require_equal(engine.submit(noise(1)).result(), reference(noise(1)))


def test_an_engine_that_does_not_push_the_context_is_caught(monkeypatch, model, plan):
    monkeypatch.setattr(CudaDevice, "active", lambda self: nullcontext())
    with pytest.raises(EngineError, match="invalid device context"):
        load_engine(model, UP_TO_4, plan)


def test_an_engine_that_does_not_push_the_context_in_each_call_is_caught(monkeypatch, model, plan):
    engine = load_engine(model, UP_TO_4, plan)
    push = CudaDevice.active
    monkeypatch.setattr(CudaDevice, "active", lambda self: nullcontext())
    with pytest.raises(EngineError, match=r"\[F06\].*context"):
        engine.submit(noise(1))
    monkeypatch.setattr(CudaDevice, "active", push)
    engine._broken = ""
    engine.close()


def test_an_engine_that_does_not_pop_the_context_is_caught(monkeypatch, model, plan, driver):
    @contextmanager
    def push_only(self):
        self._context.push()
        yield

    monkeypatch.setattr(CudaDevice, "active", push_only)
    engine = load_engine(model, UP_TO_4, plan)
    with pytest.raises(AssertionError, match="left on the stack"):
        require_no_context()
    engine.close()
    assert cuda.Context.get_current() is None  # PyCUDA forgets what was detached
    require_nothing_left(driver)


def test_an_engine_that_forgets_to_free_is_caught(monkeypatch, model, plan, driver):
    engine = load_engine(model, UP_TO_4, plan)
    with monkeypatch.context() as patch:
        patch.setattr(TensorRtEngine, "_free", lambda self: None)
        patch.setattr(CudaDevice, "close", lambda self: None)
        engine.close()
    with pytest.raises(AssertionError, match="device_allocations"):
        require_nothing_left(driver)
    with engine._device.active():
        engine._free()
    engine._device.close()
    require_nothing_left(driver)


def test_an_engine_that_forgets_a_context_is_caught(monkeypatch, model, plan, driver):
    engine = load_engine(model, UP_TO_4, plan)
    monkeypatch.setattr(CudaDevice, "close", lambda self: None)
    engine.close()
    with pytest.raises(AssertionError, match="contexts_retained"):
        require_nothing_left(driver)
    monkeypatch.undo()
    engine._device.close()
    require_nothing_left(driver)


def test_an_engine_that_reads_from_its_own_buffers_is_caught(monkeypatch, engine):
    monkeypatch.setattr(Slot, "read", read_without_copy)
    first = engine.submit(noise(1)).result().probs
    before = first.copy()
    for seed in range(1, 4):
        engine.submit(noise(1, seed)).result()
    assert not np.array_equal(first, before)


def read_without_copy(self, count):
    return EngineOutput(*(self._answers[name].host[:count] for name in OUTPUTS))
