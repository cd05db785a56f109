"""ONNX Runtime: the float32 reference. The only module that imports onnxruntime."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (
    NotImplemented as NotImplementedByRuntime,
)

from engines.base import OUTPUTS, EngineInfo, EngineOutput, check_input
from engines.errors import EngineError
from engines.load import Model

_FAILURES = (Fail, InvalidArgument, InvalidGraph, NotImplementedByRuntime, RuntimeException)


class OnnxRuntimeEngine:
    """A model run by ONNX Runtime on the CPU in float32, one frame a run, one thread a frame.

    Parameters
    ----------
    model : verified model
    threads : frames run side by side; one per core when None

    Raises
    ------
    EngineError
        If ONNX Runtime cannot load the model.
    """

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self._model = model
        self._depth = threads or len(os.sched_getaffinity(0))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                model.data, options, providers=["CPUExecutionProvider"]
            )
        except _FAILURES as error:
            raise EngineError(
                model.name, f"ONNX Runtime cannot load it: {error}", fault="M05"
            ) from error
        self._pool = ThreadPoolExecutor(self._depth, thread_name_prefix="onnxruntime")

    @property
    def model(self) -> Model:
        """The verified model file that the engine was made from."""
        return self._model

    @property
    def info(self) -> EngineInfo:
        """Runtime, version, device and precision."""
        return EngineInfo("onnxruntime", ort.__version__, "CPU", "fp32")

    @property
    def depth(self) -> int:
        """One run per thread."""
        return self._depth

    @property
    def max_batch(self) -> int:
        """One frame a run."""
        return 1

    def submit(self, frames: NDArray[np.uint8]) -> _Pending:
        """Start a run over (1, h, w, 3)."""
        check_input(frames, self._model.spec, self.max_batch)
        return _Pending(self._model, self._pool.submit(self._run, frames))

    def close(self) -> None:
        """Wait for runs under way and stop the threads."""
        self._pool.shutdown()

    def _run(self, frames: NDArray[np.uint8]) -> EngineOutput:
        return EngineOutput(*self._session.run(list(OUTPUTS), {"frames": frames}))


@dataclass(frozen=True, slots=True)
class _Pending:
    model: Model
    future: Future[EngineOutput]

    def result(self) -> EngineOutput:
        """Wait for the answer and return it, checked."""
        try:
            output = self.future.result()
        except _FAILURES as error:
            raise EngineError(self.model.name, f"ONNX Runtime failed: {error}") from error
        output.check(self.model.spec)
        return output
