"""The ways to run a model that must all keep the engine contract; new engines are added here."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from engines import ort, ort_cuda, ov
from engines.base import Engine, EngineInfo
from engines.load import Model
from engines.open import open_engine, try_out
from engines.options import Batch, EngineOptions

BATCH = Batch(1, 4, 8)
FIXED = Batch(4, 4, 4)


@dataclass(frozen=True)
class Case:
    """One way to run a model.

    Parameters
    ----------
    name : of the case
    build : opens the engine for a model
    options : how
    tolerance : of logits of size 4, against numbers worked by hand
    missing : why it cannot run here; empty when it can
    """

    name: str
    build: Callable[[Model, EngineOptions], Engine]
    options: EngineOptions
    tolerance: float = 1e-5
    missing: str = ""


def openvino(model, options):
    return open_engine(model, "openvino", options)


def onnxruntime(model, options):
    return open_engine(model, "onnxruntime", options)


def stored(model, options):
    """Open OpenVINO from its export, as the cache does."""
    engine = ov.load_engine(model, options, ov.compile_engine(model, options, print))
    try_out(engine)
    return engine


def bound(model, options):
    """Open the path of the CUDA provider, bound buffers, on the CPU provider."""
    session = ort.open_session(model, model.data, ort.session_options(), [ort.CPU])
    info = EngineInfo("bound", ort.runtime_version(), "CPU", options.precision)
    return ort_cuda.BoundEngine(model, options, session, info, "cpu")


NO_BF16 = "" if "bf16" in ov.offered_precisions() else "this processor has no bfloat16"

CASES = [
    Case("openvino", openvino, EngineOptions()),
    Case("openvino-latency", openvino, EngineOptions(mode="latency")),
    Case("openvino-batch", openvino, EngineOptions(batch=BATCH)),
    Case("openvino-latency-batch", openvino, EngineOptions(mode="latency", batch=BATCH)),
    Case("openvino-fixed-batch", openvino, EngineOptions(batch=FIXED)),
    Case("openvino-stored", stored, EngineOptions()),
    Case("openvino-stored-batch", stored, EngineOptions(batch=BATCH)),
    Case("openvino-bf16", openvino, EngineOptions(precision="bf16"), 0.05, NO_BF16),
    Case("openvino-bf16-batch", openvino, EngineOptions("bf16", BATCH), 0.05, NO_BF16),
    Case("onnxruntime", onnxruntime, EngineOptions()),
    Case("onnxruntime-latency", onnxruntime, EngineOptions(mode="latency")),
    Case("onnxruntime-batch", onnxruntime, EngineOptions(batch=BATCH)),
    Case("bound", bound, EngineOptions()),
    Case("bound-latency-batch", bound, EngineOptions(mode="latency", batch=BATCH)),
    Case("bound-fixed-batch", bound, EngineOptions(batch=FIXED)),
]


def as_params(cases=CASES):
    """Return the cases as pytest parameters, those that cannot run here skipped with a reason."""
    skip = pytest.mark.skipif
    return [
        pytest.param(c, id=c.name, marks=skip(bool(c.missing), reason=c.missing)) for c in cases
    ]
