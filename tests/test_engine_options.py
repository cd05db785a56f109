"""What an engine can be asked for, and what it refuses in one line."""

from dataclasses import replace

import numpy as np
import pytest

from engines import ort, ort_cuda, ov
from engines.errors import EngineError, runtime_fault
from engines.load import load_model
from engines.open import open_engine, try_out
from engines.options import Batch, EngineOptions, parse_batch
from tests.tiny_model import save_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("fp32")))


@pytest.fixture(scope="module")
def int8_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    return load_model(save_tiny(folder, precision="int8", reference_digest="f" * 64))


@pytest.mark.parametrize(
    ("text", "batch"), [("4", Batch(4, 4, 4)), ("1:8:32", Batch(1, 8, 32)), ("1", Batch())]
)
def test_a_batch_is_one_number_or_three(text, batch):
    assert parse_batch(text) == batch


@pytest.mark.parametrize("text", ["", "0", "1:2", "4:2:8", "1:9:8", "1:2:2000", "-1", "1:a:2"])
def test_other_batches_are_refused(text):
    with pytest.raises(ValueError, match="batch"):
        parse_batch(text)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_fp16_on_a_cpu_is_refused_with_what_to_use_instead(model, name):
    with pytest.raises(EngineError, match=rf"{name}: does not offer fp16 .* use fp32 or") as error:
        open_engine(model, name, EngineOptions(precision="fp16"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_int8_of_a_float_model_names_calibrate(model, name):
    with pytest.raises(EngineError, match=r"int8 asked, but the model is fp32.*stream calibrate"):
        open_engine(model, name, EngineOptions(precision="int8"))


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_fp32_of_an_int8_model_names_calibrate(int8_model, name):
    with pytest.raises(EngineError, match=r"fp32 asked, but .* int8 by `stream calibrate`"):
        open_engine(int8_model, name)


def test_auto_opens_an_int8_model_in_int8(int8_model):
    engine = open_engine(int8_model)
    assert (engine.info.name, engine.info.precision) == ("openvino", "int8")
    engine.close()


def test_bf16_is_refused_where_the_processor_lacks_it(model, monkeypatch):
    monkeypatch.setattr(ov, "offered_precisions", lambda: ("fp32", "int8"))
    with pytest.raises(EngineError, match="does not offer bf16 on this machine; use fp32 or int8"):
        open_engine(model, "openvino", EngineOptions(precision="bf16"))


def test_the_reference_computes_no_bf16(model):
    with pytest.raises(EngineError, match="onnxruntime: does not offer bf16"):
        open_engine(model, "onnxruntime", EngineOptions(precision="bf16"))


@pytest.mark.parametrize(
    ("name", "mode", "depth"),
    [
        ("openvino", "throughput", 6),
        ("openvino", "latency", 1),
        ("onnxruntime", "throughput", 3),
        ("onnxruntime", "latency", 1),
    ],
)
def test_three_threads_are_three_streams_for_throughput_and_one_for_latency(
    model, name, mode, depth
):
    engine = open_engine(model, name, EngineOptions(mode=mode, threads=3))
    assert engine.depth == depth
    engine.close()


def test_all_cores_that_the_process_may_use_are_used(model, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 5, 7, 9})
    engine = open_engine(model, "onnxruntime")
    assert engine.depth == 4
    engine.close()


def test_batch_one_is_compiled_with_a_static_shape(model):
    shape = ov._compile(model, EngineOptions()).input("frames").partial_shape
    assert shape.is_static


def test_a_range_of_batches_is_compiled_with_its_bounds(model):
    compiled = ov._compile(model, EngineOptions(batch=Batch(2, 4, 8)))
    batch = compiled.input("frames").partial_shape[0]
    assert (batch.min_length, batch.max_length) == (2, 8)


def test_a_cuda_graph_is_asked_for_one_batch_size_only():
    fixed, ranged = EngineOptions(batch=Batch(4, 4, 4)), EngineOptions(batch=Batch(1, 4, 8))
    assert ort_cuda.provider_options(fixed)["enable_cuda_graph"] == "1"
    assert ort_cuda.provider_options(ranged)["enable_cuda_graph"] == "0"


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_onnxruntime_on_cuda_offers_float_only(model, precision):
    options = EngineOptions(precision=precision)
    with pytest.raises(EngineError, match=f"does not offer {precision} .* use fp32 or fp16"):
        ort_cuda.compile_engine(model, options, print)


def test_f40_without_a_driver_onnxruntime_on_cuda_is_refused(model, monkeypatch):
    def no_library(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", no_library)
    with pytest.raises(EngineError, match=r"\[F40\].*no NVIDIA driver: libcuda"):
        ort_cuda.load_engine(model, EngineOptions(), None)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("Failed to allocate memory for requested buffer of size 1024", "F05"),
        ("CUDA failure 2: out of memory", "F05"),
        ("std::bad_alloc", "F05"),
        ("CUDA failure 700: an illegal memory access was encountered", "F06"),
        ("Non-zero status code returned while running Conv node", ""),
    ],
)
def test_f05_f06_a_full_memory_and_a_failing_device_are_told_apart(words, fault):
    assert runtime_fault(RuntimeError(words)) == fault


class Full:
    """A request of OpenVINO or a session of ONNX Runtime that finds no memory."""

    def __init__(self, error):
        self.error = error

    def run(self, names, feeds):
        raise self.error

    def start(self, frames):
        raise self.error


NO_ROOM = (MemoryError(), RuntimeError("Failed to allocate memory for requested buffer"))


@pytest.mark.parametrize("error", NO_ROOM, ids=repr)
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_f05_a_full_memory_fails_the_frame_and_leaves_the_engine_usable(model, name, error):
    engine = open_engine(model, name, EngineOptions(mode="latency"))
    frame = np.zeros((1, 32, 32, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        if name == "openvino":
            patch.setattr(engine, "_idle", [Full(error)])
            pending = engine.submit(frame)
        else:
            patch.setattr(engine, "_session", Full(error))
            pending = engine.submit(frame)
            pending.future.exception()
        with pytest.raises(EngineError, match=r"\[F05\]"):
            pending.result()
    assert engine.submit(frame).result().probs.shape == (1, 2)
    engine.close()


def test_a_model_of_another_precision_is_refused_before_anything_is_compiled(int8_model):
    for module in (ov, ort, ort_cuda):
        with pytest.raises(EngineError, match="fp32 asked"):
            module.compile_engine(int8_model, replace(EngineOptions(), precision="fp32"), print)


class Slow:
    """An engine that cannot answer; its model is that of an open one."""

    def __init__(self, model, problem=None):
        self.model, self.problem, self.closed = model, problem, False
        self.max_batch, self.batches = 4, []

    def submit(self, frames):
        self.batches.append(len(frames))
        return self

    def result(self):
        if self.problem:
            raise EngineError("slow", self.problem)

    def close(self):
        self.closed = True


def test_the_trial_run_takes_one_frame_and_one_full_batch(model):
    engine = Slow(model)
    try_out(engine)
    assert (engine.batches, engine.closed) == ([1, 4], False)


def test_m05_an_engine_that_takes_too_long_for_a_frame_is_refused_and_closed(model, monkeypatch):
    monkeypatch.setattr("engines.open.TRIAL_LIMIT_S", -1.0)
    engine = Slow(model)
    with pytest.raises(EngineError, match=r"\[M05\].*one frame took 0 s.*use a smaller model"):
        try_out(engine)
    assert engine.closed


def test_m05_an_engine_that_fails_its_trial_run_is_refused_and_closed(model):
    engine = Slow(model, "outputs hold NaN or infinity")
    with pytest.raises(EngineError, match=r"\[M05\].*trial run: outputs hold NaN"):
        try_out(engine)
    assert engine.closed
