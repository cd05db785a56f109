"""Facts about the fake driver, seen by unmodified PyCUDA; run by tests/test_cuda_kit.py."""

import ctypes
import gc
import threading

import numpy as np
import pycuda.driver as cuda
import pytest
from cuda.bindings import driver as bindings

from tests.cuda.kit import ILLEGAL_ADDRESS, NO_DEVICE, OUT_OF_MEMORY, FakeDriver

fake = FakeDriver()
library = ctypes.CDLL("libcuda.so.1")
HostFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
NON_BLOCKING = 1
THREAD_LOCAL = bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL


@pytest.fixture(scope="module", autouse=True)
def context():
    cuda.init()
    context = cuda.Device(0).retain_primary_context()
    context.push()
    yield context
    cuda.Context.pop()


@pytest.fixture(autouse=True)
def no_faults():
    yield
    fake.reset()
    gc.collect()


class Loop:
    """Four numbers that go to the device and come back."""

    def __init__(self, stream):
        self.stream = stream
        self.sent = cuda.pagelocked_empty(4, np.float32)
        self.sent[:] = [1, 2, 3, 4]
        self.returned = cuda.pagelocked_zeros(4, np.float32)
        self.device = cuda.mem_alloc(16)

    def queue(self):
        cuda.memcpy_htod_async(self.device, self.sent, self.stream)
        cuda.memcpy_dtoh_async(self.returned, self.device, self.stream)

    @property
    def arrived(self):
        return self.returned.tolist() == [1, 2, 3, 4]


def capture(loop):
    """Record the loop's copies and return the graph, ready to launch."""
    handle = loop.stream.handle
    assert bindings.cuStreamBeginCapture(handle, THREAD_LOCAL)[0] == 0
    loop.queue()
    error, graph = bindings.cuStreamEndCapture(handle)
    assert error == 0
    error, exec_graph = bindings.cuGraphInstantiate(graph, 0)
    assert error == 0
    assert bindings.cuGraphDestroy(graph)[0] == 0
    return exec_graph


def test_output_is_stale_until_the_stream_is_waited_for():
    loop = Loop(cuda.Stream())
    loop.queue()
    assert loop.returned.tolist() == [0, 0, 0, 0]
    loop.stream.synchronize()
    assert loop.arrived


def test_waiting_for_another_stream_is_not_enough():
    loop, other = Loop(cuda.Stream(NON_BLOCKING)), cuda.Stream(NON_BLOCKING)
    loop.queue()
    other.synchronize()
    assert not loop.arrived
    loop.stream.synchronize()


def test_waiting_for_an_event_runs_what_was_queued_before_it():
    loop, event = Loop(cuda.Stream()), cuda.Event()
    cuda.memcpy_htod_async(loop.device, loop.sent, loop.stream)
    event.record(loop.stream)
    cuda.memcpy_dtoh_async(loop.returned, loop.device, loop.stream)
    event.synchronize()
    assert event.query() and fake.stats().pending == 1 and not loop.arrived
    loop.stream.synchronize()


def test_a_stream_can_wait_for_an_event_of_another():
    loop, second, event = Loop(cuda.Stream(NON_BLOCKING)), cuda.Stream(NON_BLOCKING), cuda.Event()
    cuda.memcpy_htod_async(loop.device, loop.sent, loop.stream)
    event.record(loop.stream)
    second.wait_for_event(event)
    cuda.memcpy_dtoh_async(loop.returned, loop.device, second)
    second.synchronize()
    assert loop.arrived


def test_a_plain_copy_waits_for_streams_that_are_not_non_blocking():
    blocking, free = Loop(cuda.Stream()), Loop(cuda.Stream(NON_BLOCKING))
    blocking.queue()
    free.queue()
    cuda.memcpy_dtoh(np.empty(4, np.float32), blocking.device)
    assert blocking.arrived and not free.arrived
    free.stream.synchronize()


def test_a_loop_that_polls_comes_to_an_end():
    loop = Loop(cuda.Stream())
    loop.queue()
    asked = 1
    while not loop.stream.is_done():
        asked += 1
    assert loop.arrived and asked == 3


def test_fresh_device_memory_is_not_zero():
    loop = Loop(cuda.Stream())
    cuda.memcpy_dtoh_async(loop.returned, loop.device, loop.stream)
    loop.stream.synchronize()
    assert np.isnan(loop.returned).all()


def test_a_copy_of_ordinary_memory_waits_and_is_counted():
    loop, before = Loop(cuda.Stream()), fake.stats().pageable_copies
    cuda.memcpy_htod_async(loop.device, np.arange(4, dtype=np.float32), loop.stream)
    assert (fake.stats().pageable_copies - before, fake.stats().pending) == (1, 0)


def test_a_thread_without_a_context_is_refused(context):
    seen = []

    def use_device():
        seen.append(library.cuCtxSynchronize())
        context.push()
        seen.append(library.cuCtxSynchronize())
        cuda.Context.pop()
        seen.append(library.cuCtxSynchronize())

    thread = threading.Thread(target=use_device)
    thread.start()
    thread.join()
    assert seen == [201, 0, 201]


def test_objects_are_counted_until_they_are_freed():
    before = fake.stats()
    loop, event = Loop(cuda.Stream()), cuda.Event()
    alive = fake.stats()
    names = ("device_allocations", "device_bytes", "pinned_allocations", "streams", "events")
    assert [getattr(alive, n) - getattr(before, n) for n in names] == [1, 16, 2, 1, 1]
    del loop, event
    assert fake.stats().leaks() == before.leaks() == {"contexts_retained": 1}


def test_a_buffer_freed_under_a_pending_copy_is_an_illegal_address():
    loop = Loop(cuda.Stream())
    loop.queue()
    loop.device.free()
    with pytest.raises(cuda.LogicError, match="an illegal memory access was encountered"):
        loop.stream.synchronize()


def test_a_sticky_error_comes_late_and_stays():
    loop = Loop(cuda.Stream())
    fake.fail("copy", ILLEGAL_ADDRESS, call=2, mode="sticky")
    loop.queue()
    for _ in range(2):
        with pytest.raises(cuda.LogicError, match="illegal memory access"):
            loop.stream.synchronize()
    with pytest.raises(cuda.LogicError, match="illegal memory access"):
        cuda.mem_alloc(16)
    assert not loop.arrived


def test_pycuda_tries_once_more_when_memory_runs_out():
    fake.fail("alloc", OUT_OF_MEMORY)
    cuda.mem_alloc(16)
    fake.fail("alloc", OUT_OF_MEMORY, mode="always")
    with pytest.raises(cuda.MemoryError, match="out of memory"):
        cuda.mem_alloc(16)


def test_device_memory_has_an_end():
    fake.set_memory(1000)
    kept = cuda.mem_alloc(600)
    with pytest.raises(cuda.MemoryError):
        cuda.mem_alloc(600)
    assert cuda.mem_get_info() == (400, 1000)
    del kept
    fake.set_memory(8 << 30)


def test_a_machine_without_a_card():
    fake.fail("init", NO_DEVICE)
    with pytest.raises(cuda.RuntimeError, match="no CUDA-capable device"):
        cuda.init()


def test_a_host_function_runs_in_stream_order_and_may_not_use_cuda():
    loop, seen = Loop(cuda.Stream()), []
    look = HostFunction(lambda _: seen.extend([loop.arrived, library.cuCtxSynchronize()]))
    loop.queue()
    library.cuLaunchHostFunc(ctypes.c_void_p(loop.stream.handle), look, None)
    assert seen == []
    loop.stream.synchronize()
    assert seen == [True, 800]


def test_threads_with_host_functions_do_not_block_each_other(context):
    counts = []

    def count_good_runs():
        loop, runs = Loop(cuda.Stream(NON_BLOCKING)), []
        look = HostFunction(lambda _: runs.append(loop.arrived))
        for _ in range(100):
            loop.queue()
            library.cuLaunchHostFunc(ctypes.c_void_p(loop.stream.handle), look, None)
            loop.stream.synchronize()
        return sum(runs)

    def work():
        context.push()
        counts.append(count_good_runs())
        cuda.Context.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [100] * 4


def test_a_graph_of_cuda_python_replays_with_new_input():
    loop = Loop(cuda.Stream())
    graph = capture(loop)
    assert not loop.arrived and fake.stats().pending == 0 and fake.stats().graphs == 1
    for first in (1, 7):
        loop.sent[0] = first
        assert bindings.cuGraphLaunch(graph, loop.stream.handle)[0] == 0
        assert loop.returned[0] != first
        loop.stream.synchronize()
        assert loop.returned[0] == first
    assert bindings.cuGraphExecDestroy(graph)[0] == 0
    assert fake.stats().graphs == 0


def test_waiting_or_allocating_breaks_a_capture():
    stream = cuda.Stream()
    for forbidden in (stream.synchronize, lambda: cuda.mem_alloc(16)):
        bindings.cuStreamBeginCapture(stream.handle, THREAD_LOCAL)
        with pytest.raises(cuda.LogicError, match="not permitted when stream is capturing"):
            forbidden()
        error, _ = bindings.cuStreamEndCapture(stream.handle)
        assert error == bindings.CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
