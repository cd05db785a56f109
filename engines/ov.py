"""OpenVINO: the CPU engine. The only module that imports openvino."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import OUTPUTS, EngineInfo, EngineOutput, check_input
from engines.errors import EngineError
from engines.load import Model

# OpenVINO reports its import over the network unless this module is absent; nothing here may.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402


class OpenVinoEngine:
    """A model compiled for the CPU in float32, one frame a run, one stream a core.

    Parameters
    ----------
    model : verified model
    threads : cores to use, each running a frame of its own; all when None

    Raises
    ------
    EngineError
        If OpenVINO cannot compile the model.
    """

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self._model = model
        streams = threads or len(os.sched_getaffinity(0))
        compiled = _compile(model, streams)
        version = ov.get_version().split("-")[0]
        self._info = EngineInfo(
            "openvino",
            version,
            "CPU",
            compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
        )
        self._idle = [compiled.create_infer_request() for _ in range(2 * streams)]
        self._depth = len(self._idle)
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
        """Two runs per stream: one running, one ready to start."""
        return self._depth

    @property
    def max_batch(self) -> int:
        """One frame a run."""
        return 1

    def submit(self, frames: NDArray[np.uint8]) -> _Pending:
        """Start a run over (1, h, w, 3); waits for the oldest when all are under way."""
        check_input(frames, self._model.spec, self.max_batch)
        if not self._idle:
            self._busy[0].wait()
        request = self._idle.pop()
        pending = _Pending(self, request, frames)
        self._busy.append(pending)
        request.start_async({"frames": frames}, share_inputs=True)
        return pending

    def close(self) -> None:
        """Wait for runs under way; OpenVINO frees the rest with the object."""
        for pending in list(self._busy):
            pending.wait()

    def _release(self, pending: _Pending, request: Any) -> None:
        self._busy.remove(pending)
        self._idle.append(request)


@dataclass(slots=True, eq=False)
class _Pending:
    """A started request; holds the input until OpenVINO has read it."""

    engine: OpenVinoEngine
    request: Any
    frames: NDArray[np.uint8]
    output: EngineOutput | None = None
    error: EngineError | None = None

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
            self.request.wait()
            arrays = (self.request.get_tensor(name).data.copy() for name in OUTPUTS)
            self.output = EngineOutput(*arrays)
        except RuntimeError as error:
            self.error = EngineError(self.engine.model.name, f"OpenVINO failed: {error}")
        self.engine._release(self, self.request)


def _compile(model: Model, streams: int) -> ov.CompiledModel:
    width, height = model.spec.input_wh
    core = ov.Core()
    try:
        network = core.read_model(io.BytesIO(model.data))
        network.reshape({"frames": [1, height, width, 3]})
        return core.compile_model(
            network,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "NUM_STREAMS": str(streams),
                "INFERENCE_NUM_THREADS": str(streams),
                "ENABLE_HYPER_THREADING": True,
            },
        )
    except RuntimeError as error:
        raise EngineError(
            model.name, f"OpenVINO cannot compile it: {error}", fault="M05"
        ) from error
