"""Facts about every engine on trained models: the shipped one, and lung on real frames."""

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from calib.calibrate import Search
from calib.coverage import Chosen
from calib.frames import FrameSet
from engines import ov
from engines.base import EngineOutput, run_frames
from engines.load import Model, load_model
from engines.open import DEMO_MODEL, open_engine
from engines.options import Batch, EngineOptions
from engines.pixels import Pixels
from engines.preprocess import to_model_input
from stream.sources.phantom import PhantomScene, parse_phantom
from tests.cuda.kit import need, run_with_fake
from tests.lung_model import export_lung, needs_lung, read_frames

needs_bf16 = pytest.mark.skipif(
    "bf16" not in ov.offered_precisions(), reason="this processor has no bfloat16"
)
LIMITS = {"fp32": 1e-4, "fp16": 0.01, "bf16": 0.15, "int8": 0.15}
"""Largest change of a probability on these frames; the map's correlation may lose as much."""


@dataclass(frozen=True)
class Trained:
    """A trained model, its INT8 form, frames, and the answers of the FP32 reference."""

    model: Model
    int8: Model
    frames: np.ndarray
    wanted: EngineOutput
    folder: object

    def check(self, probs, cam, precision):
        limit = LIMITS[precision]
        assert np.abs(probs - self.wanted.probs).max() <= limit
        assert np.corrcoef(cam.ravel(), self.wanted.cam.ravel())[0, 1] >= 1 - limit


def phantom_frames(spec):
    scenes = [
        PhantomScene(parse_phantom(f"phantom:kidney?seed={seed}&finding={finding}"))
        for seed in (900_001, 900_002, 900_003, 900_004)
        for finding in spec.classes
    ]
    pixels = [Pixels((scene.frame(place)[0],)) for scene in scenes for place in (20, 60, 80)]
    return np.stack([to_model_input(p, spec.input_wh, spec.fit) for p in pixels])


def make_int8(model, reference, frames):
    count = len(frames)
    names = tuple(map(str, range(count)))
    unknown = np.full(count, -1, np.int64)
    given = FrameSet(frames, names, names, np.full(count, np.nan), unknown, "tests")
    search = Search(reference, Chosen(given, ("",) * count), given, lambda what, steps: None)
    return search.run(("percentile-99.99",), 0).model


@pytest.fixture(
    scope="module",
    params=["phantom-kidney", pytest.param("lung", marks=needs_lung)],
)
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    shipped = request.param == "phantom-kidney"
    model = load_model(DEMO_MODEL if shipped else export_lung(folder))
    frames = phantom_frames(model.spec) if shipped else read_frames(every=62)[0]
    reference = open_engine(model, "onnxruntime")
    int8 = make_int8(model, reference, frames)
    wanted = run_frames(reference, frames)
    reference.close()
    np.save(folder / "frames.npy", frames)
    (folder / "model.onnx").write_bytes(model.data)
    (folder / "int8.onnx").write_bytes(int8.data)
    return Trained(model, int8, frames, wanted, folder)


CPU = [
    ("openvino", EngineOptions()),
    ("openvino", EngineOptions(mode="latency")),
    ("openvino", EngineOptions(batch=Batch(1, 4, 8))),
    pytest.param("openvino", EngineOptions("bf16"), marks=needs_bf16),
    ("openvino", EngineOptions("int8")),
    ("openvino", EngineOptions("int8", Batch(1, 4, 8))),
    ("onnxruntime", EngineOptions()),
    ("onnxruntime", EngineOptions("int8")),
]


@pytest.mark.parametrize(("name", "options"), CPU)
def test_cpu_engine_agrees_with_the_reference(trained, name, options):
    model = trained.int8 if options.precision == "int8" else trained.model
    engine = open_engine(model, name, options)
    output = run_frames(engine, trained.frames)
    engine.close()
    trained.check(output.probs, output.cam, options.precision)


OVER_THE_FAKE = """
import json, sys
from pathlib import Path
import numpy as np
from engines.base import run_frames
from engines.load import load_model
from engines.open import load_backend
from engines.options import Batch, EngineOptions
from tests.cuda.kit import FakeDriver

folder = Path(sys.argv[1])
frames = np.load(folder / "frames.npy")
trt = load_backend("tensorrt")
for precision in ("fp32", "fp16", "int8"):
    model = load_model(folder / ("int8.onnx" if precision == "int8" else "model.onnx"))
    options = EngineOptions(precision, Batch(1, 2, 4))
    engine = trt.load_engine(model, options, trt.compile_engine(model, options, lambda line: None))
    output = run_frames(engine, frames)
    engine.close()
    np.savez(folder / f"trt-{precision}.npz", probs=output.probs, cam=output.cam)
print(json.dumps(FakeDriver().stats().leaks()))
"""


@cache
def run_tensorrt(folder):
    """Run all precisions over the fake driver in one process; return what it leaked."""
    done = run_with_fake(OVER_THE_FAKE, str(folder), timeout_s=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tensorrt_path_agrees_with_the_reference(trained, precision):
    need("pycuda", "driver")
    assert run_tensorrt(trained.folder) == {}
    with np.load(trained.folder / f"trt-{precision}.npz") as found:
        trained.check(found["probs"], found["cam"], precision)
