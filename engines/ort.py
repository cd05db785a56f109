"""ONNX Runtime on the CPU: the float32 reference. The only module that imports onnxruntime."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (
    NotImplemented as NotImplementedByRuntime,
)

from engines.base import (
    OUTPUTS,
    EngineInfo,
    EngineOutput,
    Identity,
    check_input,
    check_precision,
)
from engines.cpu import count_cores, name_cpu
from engines.errors import EngineError, runtime_fault
from engines.load import Model
from engines.options import EngineOptions

ort.disable_telemetry_events()  # nothing here may speak to the network

NAME = "onnxruntime"
CPU = "CPUExecutionProvider"
FAILURES = (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplementedByRuntime,
    RuntimeException,
    MemoryError,
    RuntimeError,  # of its arrays, which are made without a session
)


def identify(options: EngineOptions) -> Identity:
    """Return what a compiled engine depends on: the version and the processor."""
    return Identity(ort.__version__, name_cpu())


def compile_engine(model: Model, options: EngineOptions, say: Callable[[str], None]) -> bytes:
    """Optimise the model for this processor and return the graph that ONNX Runtime runs.

    Raises
    ------
    EngineError
        If the precision is not offered or does not fit the model, or the model is refused.
    """
    check_precision(model, options, NAME, ("fp32", "int8"))
    with tempfile.TemporaryDirectory(prefix="sonostream-") as folder:
        settings = session_options()
        settings.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        open_session(model, model.data, settings, [CPU])
        return Path(settings.optimized_model_filepath).read_bytes()


def load_engine(model: Model, options: EngineOptions, blob: bytes | None) -> OnnxRuntimeEngine:
    """Open an engine from its optimised graph, or optimise here and now when `blob` is None.

    Raises
    ------
    EngineError
        As `compile_engine`.
    """
    check_precision(model, options, NAME, ("fp32", "int8"))
    settings = session_options(1 if options.mode == "throughput" else _cores(options))
    if blob is not None:
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = open_session(model, model.data if blob is None else blob, settings, [CPU])
    return OnnxRuntimeEngine(model, options, session)


def session_options(threads: int = 1) -> Any:
    """Return settings of a session: threads for one run, only errors logged."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # Idle threads would otherwise turn in a loop on cores that decoding and reports need.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return settings


def open_session(model: Model, data: bytes, settings: Any, providers: Sequence[Any]) -> Any:
    """Open a session over an ONNX graph.

    Raises
    ------
    EngineError
        With fault M05 if ONNX Runtime refuses the graph, F05 if memory runs out.
    """
    try:
        return ort.InferenceSession(data, settings, providers=providers)
    except FAILURES as error:
        raise EngineError(
            model.name, f"ONNX Runtime cannot load it: {error}", fault=runtime_fault(error) or "M05"
        ) from error


def runtime_version() -> str:
    """Return the version of ONNX Runtime."""
    return str(ort.__version__)


def preload_cuda() -> None:
    """Find the CUDA and cuDNN libraries of installed wheels, which no loader path names."""
    with contextlib.redirect_stdout(sys.stderr):  # what it says is no result of ours
        ort.preload_dlls()


def device_array(shape: tuple[int, ...], dtype: type, device: str) -> Any:
    """Return an array that ONNX Runtime owns on ``cpu`` or ``cuda``; its address never changes."""
    return ort.OrtValue.ortvalue_from_shape_and_type(shape, dtype, device, 0)


class OnnxRuntimeEngine:
    """A model run by ONNX Runtime on the CPU.

    For throughput each core runs a batch of its own; for latency all cores share one batch.

    Parameters
    ----------
    model : verified model
    options : what it was compiled with
    session : of ONNX Runtime
    """

    def __init__(self, model: Model, options: EngineOptions, session: Any) -> None:
        self._model, self._options, self._session = model, options, session
        self._depth = _cores(options) if options.mode == "throughput" else 1
        self._pool = ThreadPoolExecutor(self._depth, thread_name_prefix=NAME)

    @property
    def model(self) -> Model:
        """The verified model file that the engine was made from."""
        return self._model

    @property
    def info(self) -> EngineInfo:
        """Runtime, version, device and precision."""
        return EngineInfo(NAME, runtime_version(), "CPU", self._options.precision)

    @property
    def depth(self) -> int:
        """Throughput: one run per core; latency: one."""
        return self._depth

    @property
    def max_batch(self) -> int:
        """How many frames one run may take."""
        return self._options.batch.most

    def submit(self, frames: NDArray[np.uint8]) -> FuturePending:
        """Start a run over (N, h, w, 3)."""
        check_input(frames, self._model.spec, self.max_batch)
        return FuturePending(self._model, self._pool.submit(self._run, frames))

    def close(self) -> None:
        """Wait for runs under way and stop the threads."""
        self._pool.shutdown()

    def _run(self, frames: NDArray[np.uint8]) -> EngineOutput:
        return EngineOutput(*self._session.run(list(OUTPUTS), {"frames": frames}))


@dataclass(frozen=True, slots=True)
class FuturePending:
    """A run in a thread of the engine."""

    model: Model
    future: Future[EngineOutput]

    def result(self) -> EngineOutput:
        """Wait for the answer and return it, checked."""
        try:
            output = self.future.result()
        except FAILURES as error:
            problem = f"ONNX Runtime failed: {error}"
            raise EngineError(self.model.name, problem, fault=runtime_fault(error)) from error
        output.check(self.model.spec)
        return output


def _cores(options: EngineOptions) -> int:
    return options.threads or count_cores()


def open_graph(data: bytes) -> Callable[[Mapping[str, Any]], dict[str, NDArray[np.float32]]]:
    """Compile any ONNX file for the CPU, with all cores; return what runs it from named inputs.

    Raises
    ------
    EngineError
        If ONNX Runtime refuses the file; from the returned function, if a run fails.
    """
    try:
        session = ort.InferenceSession(data, session_options(count_cores()), providers=[CPU])
    except FAILURES as error:
        raise EngineError("graph", f"ONNX Runtime cannot load it: {error}") from error
    names = [output.name for output in session.get_outputs()]

    def run(feeds: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except FAILURES as error:
            problem = f"ONNX Runtime failed: {error}"
            raise EngineError("graph", problem, fault=runtime_fault(error)) from error

    return run
