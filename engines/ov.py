"""OpenVINO: the CPU engine. The only module that imports openvino."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import (
    OUTPUTS,
    EngineInfo,
    EngineOutput,
    Identity,
    check_input,
    check_precision,
    pad_frames,
)
from engines.cpu import count_cores, name_cpu
from engines.errors import EngineError, runtime_fault
from engines.load import Model
from engines.options import EngineOptions, Precision

# OpenVINO reports its import over the network unless this module is absent; nothing here may.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

NAME = "openvino"
FAILURES = (MemoryError, RuntimeError)


def identify(options: EngineOptions) -> Identity:
    """Return what a compiled engine depends on: OpenVINO's build and the processor."""
    return Identity(ov.get_version(), name_cpu())


def compile_engine(model: Model, options: EngineOptions, say: Callable[[str], None]) -> bytes:
    """Compile the model and return OpenVINO's export of it.

    Raises
    ------
    EngineError
        If the precision is not offered or does not fit the model, or OpenVINO refuses the model.
    """
    blob = io.BytesIO()
    _compile(model, options).export_model(blob)
    return blob.getvalue()


def load_engine(model: Model, options: EngineOptions, blob: bytes | None) -> OpenVinoEngine:
    """Open an engine from its export, or compile it here and now when `blob` is None.

    Raises
    ------
    EngineError
        As `compile_engine`, or if OpenVINO cannot read the export.
    """
    if blob is None:
        return OpenVinoEngine(model, options, _compile(model, options))
    check_precision(model, options, NAME, offered_precisions())
    try:
        compiled = ov.Core().import_model(io.BytesIO(blob), "CPU", _settings(options))
    except RuntimeError as error:
        problem = f"OpenVINO cannot load its export: {error}"
        raise EngineError(model.name, problem, fault="M06") from error
    return OpenVinoEngine(model, options, compiled)


def offered_precisions() -> tuple[Precision, ...]:
    """Return the precisions of this processor; bf16 only where it is native."""
    native = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("fp32", "bf16", "int8") if native else ("fp32", "int8")


class OpenVinoEngine:
    """A model compiled for the CPU.

    For throughput each core runs a batch of its own, two of them ready; for latency all cores
    share one batch.

    Parameters
    ----------
    model : verified model
    options : what it was compiled with
    compiled : by OpenVINO
    """

    def __init__(self, model: Model, options: EngineOptions, compiled: ov.CompiledModel) -> None:
        self._model, self._options = model, options
        version = ov.get_version().split("-")[0]
        self._info = EngineInfo(NAME, version, "CPU", options.precision)
        self._depth = 2 * _cores(options) if options.mode == "throughput" else 1
        self._idle = [_Request(compiled) for _ in range(self._depth)]
        self._busy: list[_Pending] = []

    @property
    def model(self) -> Model:
        """The verified model file that the engine was made from."""
        return self._model

    @property
    def info(self) -> EngineInfo:
        """Runtime, version, device and precision."""
        return self._info

    @property
    def depth(self) -> int:
        """Throughput: two runs per stream, one running, one ready to start; latency: one."""
        return self._depth

    @property
    def max_batch(self) -> int:
        """How many frames one run may take."""
        return self._options.batch.most

    def submit(self, frames: NDArray[np.uint8]) -> _Pending:
        """Start a run over (N, h, w, 3); waits for the oldest when all are under way."""
        check_input(frames, self._model.spec, self.max_batch)
        if not self._idle:
            self._busy[0].wait()
        padded = pad_frames(frames, self._options.batch.least)
        pending = _Pending(self, self._idle.pop(), len(frames))
        self._busy.append(pending)
        pending.start(padded)
        return pending

    def close(self) -> None:
        """Wait for runs under way; OpenVINO frees the rest with the object."""
        for pending in list(self._busy):
            pending.wait()

    def _release(self, pending: _Pending, request: _Request) -> None:
        self._busy.remove(pending)
        self._idle.append(request)


class _Request:
    """A request of OpenVINO and its outputs, looked up by name once."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self._places = [self._place(compiled, name) for name in OUTPUTS]

    def start(self, frames: NDArray[np.uint8]) -> None:
        """Start a run over a copy of `frames`."""
        tensor = self._request.get_input_tensor()
        if tuple(tensor.shape) != frames.shape:
            tensor.shape = frames.shape
        tensor.data[:] = frames
        self._request.start_async()

    def outputs(self, count: int) -> list[NDArray[np.float32]]:
        """Wait for the answer and return copies of the first `count` rows."""
        self._request.wait()
        tensors = (self._request.get_output_tensor(place) for place in self._places)
        return [tensor.data[:count].copy() for tensor in tensors]

    @staticmethod
    def _place(compiled: ov.CompiledModel, name: str) -> int:
        return next(i for i, output in enumerate(compiled.outputs) if name in output.names)


@dataclass(slots=True, eq=False)
class _Pending:
    """A started request."""

    engine: OpenVinoEngine
    request: _Request
    count: int
    output: EngineOutput | None = None
    error: EngineError | None = None

    def start(self, frames: NDArray[np.uint8]) -> None:
        """Start the run; a failure is told by `result`."""
        try:
            self.request.start(frames)
        except FAILURES as error:
            self._fail(error)

    def result(self) -> EngineOutput:
        """Wait for the answer and return it, checked."""
        self.wait()
        if self.error is not None:
            raise self.error
        assert self.output is not None
        self.output.check(self.engine.model.spec)
        return self.output

    def wait(self) -> None:
        """Wait, copy the answer out and give the request back; does nothing the second time."""
        if self.output is not None or self.error is not None:
            return
        try:
            self.output = EngineOutput(*self.request.outputs(self.count))
        except FAILURES as error:
            self._fail(error)
        else:
            self.engine._release(self, self.request)

    def _fail(self, error: Exception) -> None:
        problem = f"OpenVINO failed: {error or 'out of memory'}"
        self.error = EngineError(self.engine.model.name, problem, fault=runtime_fault(error))
        self.engine._release(self, self.request)


def _cores(options: EngineOptions) -> int:
    return options.threads or count_cores()


def _settings(options: EngineOptions) -> dict[str, object]:
    """Return OpenVINO's properties; without a hint it computes in bf16 where that is native."""
    streams = _cores(options) if options.mode == "throughput" else 1
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bf16" else "f32",
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(_cores(options)),
        "ENABLE_HYPER_THREADING": True,
    }


def _compile(model: Model, options: EngineOptions) -> ov.CompiledModel:
    check_precision(model, options, NAME, offered_precisions())
    width, height = model.spec.input_wh
    batch = ov.Dimension(options.batch.least, options.batch.most)  # static where both are equal
    core = ov.Core()
    try:
        network = core.read_model(io.BytesIO(model.data))
        network.reshape({"frames": ov.PartialShape([batch, height, width, 3])})
        return core.compile_model(network, "CPU", _settings(options))
    except RuntimeError as error:
        raise EngineError(
            model.name, f"OpenVINO cannot compile it: {error}", fault=runtime_fault(error) or "M05"
        ) from error


def open_graph(data: bytes) -> Callable[[Mapping[str, Any]], dict[str, NDArray[np.float32]]]:
    """Compile any ONNX file for the CPU in float32; return what runs it from named inputs.

    Raises
    ------
    EngineError
        If OpenVINO refuses the file; from the returned function, if a run fails.
    """
    core = ov.Core()
    try:
        network = core.read_model(io.BytesIO(data))
        compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        raise EngineError("graph", f"OpenVINO cannot compile it: {error}") from error

    def run(feeds: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        try:
            found = compiled(dict(feeds))
        except RuntimeError as error:
            raise EngineError("graph", f"OpenVINO failed: {error}") from error
        return {output.any_name: found[output].copy() for output in compiled.outputs}

    return run
