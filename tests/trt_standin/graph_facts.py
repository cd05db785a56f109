"""CUDA graphs: when a run is recorded and replayed, and what becomes of one that goes wrong."""

import logging
import threading
from dataclasses import replace

import pycuda.driver as cuda
import pytest
from cuda.bindings import driver as bindings
from tensorrt import IExecutionContext, _driver

from engines.trt import load_engine, slot
from engines.trt.cuda import Mirror
from tests.trt_standin.conftest import UP_TO_4, noise, require_equal, require_nothing_left


@pytest.fixture(autouse=True)
def nothing_is_left(driver):
    yield
    require_nothing_left(driver)


def is_recording(stream_handle):
    return bool(int(bindings.cuStreamIsCapturing(stream_handle)[1]))


def test_a_batch_size_is_recorded_when_it_comes_again_and_then_replayed(engine, driver, reference):
    before = driver.stats().graph_launches
    for seed in range(8):  # slots take turns: 2 plain runs, then 6 of two recordings
        require_equal(engine.submit(noise(2, seed)).result(), reference(noise(2, seed)))
    assert driver.stats().graphs == 2
    assert driver.stats().graph_launches == before + 6


def test_another_batch_size_drops_the_recording(engine, driver, reference):
    for count in (1, 1, 1, 1, 3, 3, 1, 1):
        require_equal(engine.submit(noise(count)).result(), reference(noise(count)))
    assert driver.stats().graphs == 0


def test_without_cuda_python_runs_are_queued_call_by_call(
    monkeypatch, model, plan, driver, reference
):
    monkeypatch.setattr(slot, "CudaGraph", None)
    before = driver.stats().graph_launches
    engine = load_engine(model, UP_TO_4, plan)
    for seed in range(6):
        require_equal(engine.submit(noise(2, seed)).result(), reference(noise(2, seed)))
    assert driver.stats().graph_launches == before
    engine.close()


def test_what_cannot_be_recorded_runs_without_a_graph_and_says_so(
    monkeypatch, engine, reference, caplog
):
    queue = IExecutionContext.execute_async_v3

    def allocate_and_queue(self, stream_handle):
        try:
            scratch = _driver.Memory(64)  # not allowed while a stream is recorded
        except _driver.CudaError:
            return False
        del scratch
        return queue(self, stream_handle)

    monkeypatch.setattr(IExecutionContext, "execute_async_v3", allocate_and_queue)
    with caplog.at_level(logging.WARNING):
        for seed in range(6):
            require_equal(engine.submit(noise(1, seed)).result(), reference(noise(1, seed)))
    line = "tiny.onnx: runs without a CUDA graph: TensorRT failed"
    assert [record.message[: len(line)] for record in caplog.records] == [line] * 2  # two slots


def test_another_thread_may_allocate_while_a_run_is_recorded(monkeypatch, engine, driver):
    queue = IExecutionContext.execute_async_v3

    def allocate():
        with engine._device.active():
            cuda.mem_alloc(16)

    def queue_beside_another(self, stream_handle):
        if is_recording(stream_handle):
            thread = threading.Thread(target=allocate)
            thread.start()
            thread.join()
        return queue(self, stream_handle)

    monkeypatch.setattr(IExecutionContext, "execute_async_v3", queue_beside_another)
    for seed in range(4):
        engine.submit(noise(1, seed)).result()
    assert driver.stats().graphs == 2


def test_a_recording_that_is_refused_midway_is_thrown_away(monkeypatch, engine, driver, reference):
    queue = IExecutionContext.execute_async_v3

    def refuse_while_recording(self, stream_handle):
        return not is_recording(stream_handle) and queue(self, stream_handle)

    monkeypatch.setattr(IExecutionContext, "execute_async_v3", refuse_while_recording)
    for seed in range(4):
        require_equal(engine.submit(noise(1, seed)).result(), reference(noise(1, seed)))
    assert driver.stats().graphs == 0


@pytest.mark.parametrize("runs_before", [0, 1, 2], ids=["first", "recording", "replay"])
def test_an_interrupted_run_leaves_nothing_under_way(
    monkeypatch, model, plan, driver, reference, runs_before
):
    engine = load_engine(model, replace(UP_TO_4, mode="latency"), plan)
    for seed in range(runs_before):
        engine.submit(noise(1, seed)).result()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "fetch", interrupt)
        patch.setattr(slot.CudaGraph, "launch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.submit(noise(1))
    assert driver.stats().pending == 0
    require_equal(engine.submit(noise(1, 9)).result(), reference(noise(1, 9)))
    engine.close()
