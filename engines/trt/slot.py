"""One run on the card: an execution context, a stream, and buffers on both sides."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import numpy as np
import tensorrt as trt
from numpy.typing import NDArray

from engines.base import OUTPUTS, EngineOutput
from engines.trt.cuda import Mirror, open_stream
from engines.trt.messages import failure, shared_messages

try:
    from engines.trt.graph import CaptureError, CudaGraph
except ImportError:  # cuda-python is optional
    CudaGraph = None  # type: ignore[assignment, misc, unused-ignore]

_log = logging.getLogger(__name__)


class Slot:
    """Runs one batch at a time; every method needs the device's context to be active.

    A batch size that comes twice in a row is recorded as a CUDA graph and replayed from then on.
    The recording holds the context's state for that size, so another size drops it.

    Parameters
    ----------
    name : of the model, for errors
    engine : loaded plan; its outputs are float32
    shape : (most, h, w, 3), the largest input

    Raises
    ------
    EngineError
        With fault F05 if TensorRT has no room.
    pycuda.driver.MemoryError
        If the buffers have no room.
    """

    def __init__(self, name: str, engine: trt.ICudaEngine, shape: tuple[int, ...]) -> None:
        self._name = name
        self._frame = shape[1:]
        self._batch = 0
        self._graph: CudaGraph | None = None
        self._records = CudaGraph is not None
        with ExitStack() as made:
            mark = shared_messages().mark()
            self._stream = open_stream()
            self._context: trt.IExecutionContext = engine.create_execution_context()
            made.callback(self._forget)
            if self._context is None:
                raise failure(name, "TensorRT made no execution context", mark, "")
            self._frames = Mirror(shape, np.uint8)
            made.callback(self._frames.free)
            self._context.set_tensor_address("frames", self._frames.address)
            self._set_batch(shape[0])
            self._answers: dict[str, Mirror] = {}
            for output in OUTPUTS:
                size = tuple(self._context.get_tensor_shape(output))
                self._answers[output] = Mirror(size, np.float32)
                made.callback(self._answers[output].free)
                self._context.set_tensor_address(output, self._answers[output].address)
            self._batch = 0  # the first run of any size sets it, and is the warm-up
            self._owned = made.pop_all()

    def start(self, frames: NDArray[np.uint8]) -> None:
        """Queue the copy to the card, the run, and the copies back.

        Raises
        ------
        EngineError, pycuda.driver.Error
            If the run cannot be queued.
        """
        count = len(frames)
        np.copyto(self._frames.host[:count], frames)
        if count != self._batch:
            self._drop_graph()
            self._set_batch(count)
        elif self._graph is None and self._records:
            self._record()
        if self._graph is not None:
            self._graph.launch(self._name, self._stream.handle)
        else:
            self._enqueue()

    def wait(self) -> None:
        """Wait until all that was queued is done."""
        self._stream.synchronize()

    def read(self, count: int) -> EngineOutput:
        """Return a copy of the first `count` answers of the run that was waited for."""
        return EngineOutput(*(self._answers[name].host[:count].copy() for name in OUTPUTS))

    def free(self) -> None:
        """Free everything; nothing may be under way."""
        self._drop_graph()
        self._owned.close()

    def _forget(self) -> None:
        del self._context, self._stream  # the last references; TensorRT and PyCUDA free them now

    def _set_batch(self, count: int) -> None:
        mark = shared_messages().mark()
        if not self._context.set_input_shape("frames", (count, *self._frame)):
            raise failure(self._name, f"TensorRT refuses {count} frames", mark, "M06")
        self._batch = count

    def _enqueue(self) -> None:
        self._frames.send(self._batch, self._stream)
        mark = shared_messages().mark()
        if not self._context.execute_async_v3(self._stream.handle):
            raise failure(self._name, "TensorRT failed", mark, "F06")
        for answer in self._answers.values():
            answer.fetch(self._batch, self._stream)

    def _record(self) -> None:
        try:
            self._graph = CudaGraph(self._stream.handle, self._enqueue)
        except CaptureError as error:
            self._records = False
            _log.warning("%s: runs without a CUDA graph: %s", self._name, error)

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None
