"""What the facts share; this file is used inside the process with the fake driver only."""

import ctypes
import gc

import msgspec
import numpy as np
import onnxruntime as ort
import pytest

from engines.base import OUTPUTS, EngineOutput
from engines.load import load_model
from engines.options import EngineOptions, parse_batch
from engines.trt import compile_engine, load_engine
from stream import doctor_gpu
from stream.gpu_report import GpuReport
from tests.cuda.kit import FakeDriver
from tests.tiny_model import SIZE, save_tiny
from tests.trt_standin.nets import save_net

UP_TO_4 = EngineOptions(batch=parse_batch("1:2:4"))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="session")
def plan(model):
    return compile_engine(model, UP_TO_4, lambda line: None)


@pytest.fixture(scope="session")
def reference(model):
    session = ort.InferenceSession(model.data, providers=["CPUExecutionProvider"])
    return lambda frames: EngineOutput(*session.run(list(OUTPUTS), {"frames": frames}))


@pytest.fixture
def driver():
    """The fake driver's controls, without faults before and after."""
    driver = FakeDriver()
    driver.reset()
    yield driver
    driver.reset()


@pytest.fixture
def engine(model, plan):
    engine = load_engine(model, UP_TO_4, plan)
    yield engine
    engine.close()


@pytest.fixture
def examine(monkeypatch, tmp_path):
    """Run the doctor on the small net; return its exit code, report and Markdown."""
    monkeypatch.setattr(doctor_gpu, "DEMO_MODEL", save_net(tmp_path / "net.onnx"))
    monkeypatch.setattr(doctor_gpu, "WARM_UP", 2)

    def run(int8_model=None):
        code = doctor_gpu.doctor_gpu(tmp_path, int8_model, runs=4)
        data = (tmp_path / "gpu-report.json").read_bytes()
        report = msgspec.json.decode(data, type=GpuReport)
        return code, report, (tmp_path / "gpu-report.md").read_text()

    return run


def noise(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def require_equal(output, expected, atol=1e-6):
    for name in OUTPUTS:
        assert np.allclose(getattr(output, name), getattr(expected, name), atol=atol), name


def require_nothing_left(driver):
    """Fail if memory, streams, graphs or contexts are still held."""
    gc.collect()
    assert driver.stats().leaks() == {}
    require_no_context()


def require_no_context():
    """Fail if a context is current in this thread."""
    current = ctypes.c_void_p()
    assert ctypes.CDLL("libcuda.so.1").cuCtxGetCurrent(ctypes.byref(current)) == 0
    assert current.value is None, "a context was left on the stack"
