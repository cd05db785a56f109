"""Runs a plan with two frames in flight."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorrt as trt
from numpy.typing import NDArray

from engines.base import OUTPUTS, EngineInfo, EngineOutput, check_input, pad_frames
from engines.errors import EngineError
from engines.load import Model
from engines.options import EngineOptions
from engines.trt.cuda import CudaDevice, device_faults, open_device
from engines.trt.layers import Layer, parse_layers
from engines.trt.messages import failure, shared_messages
from engines.trt.slot import Slot

NAME = "tensorrt"
REBUILD = "compile it again"
_log = logging.getLogger(__name__)


class TensorRtEngine:
    """A plan on the first NVIDIA card; use `open_plan` to make one.

    For throughput two runs are in flight, so that copies and kernels overlap; for latency one.
    After a device error (F06) every call is refused: the process has to be replaced.

    Parameters
    ----------
    model : verified model
    options : what the plan was built with
    device : open; closed with the engine
    engine : the loaded plan
    """

    def __init__(
        self, model: Model, options: EngineOptions, device: CudaDevice, engine: trt.ICudaEngine
    ) -> None:
        self._model, self._options, self._device = model, options, device
        self._engine: trt.ICudaEngine | None = engine
        self._info = EngineInfo(NAME, str(trt.__version__), device.name, options.precision)
        width, height = model.spec.input_wh
        shape = (options.batch.most, height, width, 3)
        self._broken = ""
        self._idle: list[Slot] = []
        self._busy: list[_Pending] = []
        self._depth = 2 if options.mode == "throughput" else 1
        with self._at_device():
            try:
                for _ in range(self._depth):
                    self._idle.append(Slot(model.name, engine, shape))
            except BaseException:
                self._free()
                raise

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
        """Throughput: two runs; latency: one."""
        return self._depth

    @property
    def max_batch(self) -> int:
        """How many frames one run may take."""
        return self._options.batch.most

    def submit(self, frames: NDArray[np.uint8]) -> _Pending:
        """Start a run over (N, h, w, 3); waits for the oldest when all are under way.

        Fewer frames than the plan takes are filled up.

        Raises
        ------
        EngineError
            F05 if device memory runs out, F06 if the device fails or failed before.
        """
        check_input(frames, self._model.spec, self.max_batch)
        if self._busy and not self._idle:
            self._settle(self._busy[0])
        with self._at_device():
            slot = self._idle[0]
            try:
                slot.start(pad_frames(frames, self._options.batch.least))
            except BaseException:
                slot.wait()  # a part may be queued, which still uses the buffers
                raise
        pending = _Pending(self, len(frames), self._idle.pop(0))
        self._busy.append(pending)
        return pending

    def close(self) -> None:
        """Wait for runs under way and free the card, in the thread that opened the engine."""
        for pending in list(self._busy):
            self._settle(pending)
        if self._engine is None:
            return
        try:
            with self._at_device():
                self._free()
        except EngineError as error:
            # Nothing can be freed on a failed device; the end of the process does that.
            _log.debug("%s", error)
        self._engine = None
        self._device.close()

    def _settle(self, pending: _Pending) -> None:
        """Wait for a run, copy its answers out and give its slot back."""
        slot = pending.slot
        if slot is None:
            return
        try:
            with self._at_device():
                slot.wait()
                pending.output = slot.read(pending.count)
        except EngineError as error:
            pending.error = error
        pending.slot = None
        self._busy.remove(pending)
        self._idle.append(slot)

    @contextmanager
    def _at_device(self) -> Iterator[None]:
        """Make the device's context current for a while, and remember its failure."""
        if self._broken:
            raise EngineError(self._model.name, self._broken, "replace the worker", fault="F06")
        try:
            with device_faults(self._model.name), self._device.active():
                yield
        except EngineError as error:
            if error.fault == "F06":
                self._broken = error.problem
            raise

    def _free(self) -> None:
        while self._idle:
            self._idle.pop().free()
        self._engine = None


@dataclass(slots=True, eq=False)
class _Pending:
    """A run under way, `slot` until its answers have been copied out."""

    engine: TensorRtEngine
    count: int
    slot: Slot | None
    output: EngineOutput | None = None
    error: EngineError | None = None

    def result(self) -> EngineOutput:
        """Wait for the answer and return it, checked."""
        self.engine._settle(self)
        if self.error is not None:
            raise self.error
        assert self.output is not None
        self.output.check(self.engine.model.spec)
        return self.output


def open_plan(model: Model, options: EngineOptions, plan: bytes) -> TensorRtEngine:
    """Open an engine from its plan.

    Raises
    ------
    EngineError
        M06 if TensorRT cannot load the plan or it is for another model or batch, F05 if device
        memory runs out, F06 if the device fails.
    """
    device = CudaDevice()
    try:
        return _open(model, options, plan, device)
    except BaseException as error:
        _let_go(error)
        device.close()
        raise


def _open(model: Model, options: EngineOptions, plan: bytes, device: CudaDevice) -> TensorRtEngine:
    with device_faults(model.name), device.active():
        engine = _load(model.name, options, plan)
        _check_plan(model, options, engine)
    return TensorRtEngine(model, options, device, engine)


def _let_go(error: BaseException | None) -> None:
    """Forget what an error's frames hold, or who catches it could not try again with less."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def inspect_plan(plan: bytes, options: EngineOptions) -> list[Layer]:
    """Return the layers of a plan, in the order of execution.

    Raises
    ------
    EngineError
        If the plan cannot be loaded.
    """
    with open_device() as device, device_faults("plan"), device.active():
        return parse_layers(_inspect(_load("plan", options, plan)))


def _inspect(engine: trt.ICudaEngine) -> str:
    inspector: trt.EngineInspector = engine.create_engine_inspector()
    text: str = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    return text


def _load(name: str, options: EngineOptions, plan: bytes) -> trt.ICudaEngine:
    messages = shared_messages()
    mark = messages.mark()
    try:
        runtime = trt.Runtime(messages)
    except TypeError as error:  # the bindings' way to say that the library made no runtime
        raise failure(name, "TensorRT made no runtime", mark, "") from error
    # A plan for later versions brings code of its own; the cache has checked whose it is.
    runtime.engine_host_code_allowed = options.version_compatible
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise failure(name, "TensorRT cannot load the plan", mark, "M06")
    return engine


def _check_plan(model: Model, options: EngineOptions, engine: trt.ICudaEngine) -> None:
    width, height = model.spec.input_wh
    batch = options.batch
    wanted = [(count, height, width, 3) for count in (batch.least, batch.best, batch.most)]
    names = {engine.get_tensor_name(place) for place in range(engine.num_io_tensors)}
    if names != {"frames", *OUTPUTS}:
        raise EngineError(model.name, f"the plan has {sorted(names)}", REBUILD, fault="M06")
    found = [tuple(shape) for shape in engine.get_tensor_profile_shape("frames", 0)]
    floats = all(engine.get_tensor_dtype(name) == trt.DataType.FLOAT for name in OUTPUTS)
    if found != wanted or engine.get_tensor_dtype("frames") != trt.DataType.UINT8 or not floats:
        problem = f"the plan takes frames {found} or has other types; expected {wanted}"
        raise EngineError(model.name, problem, REBUILD, fault="M06")
