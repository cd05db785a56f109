"""CUDA graphs through cuda-python: all the work of one run, started by one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pycuda.driver
from cuda.bindings import driver

from engines.errors import EngineError


class CaptureError(Exception):
    """The work could not be recorded; the stream can be used as before."""


class CudaGraph:
    """Work recorded from a stream, to be started again and again with the same buffers.

    Parameters
    ----------
    stream : handle of the stream
    enqueue : queues the work on the stream; it has run before, so that nothing is set up now

    Raises
    ------
    CaptureError
        If the work or a part of it cannot be recorded.
    """

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _require(driver.cuStreamBeginCapture(stream, mode))
        try:
            enqueue()
        except BaseException as error:
            code, graph = driver.cuStreamEndCapture(stream)
            if code == driver.CUresult.CUDA_SUCCESS:
                driver.cuGraphDestroy(graph)
            if not isinstance(error, EngineError | pycuda.driver.Error):
                raise
            problem = error.problem if isinstance(error, EngineError) else str(error)
            raise CaptureError(problem) from error
        graph = _require(driver.cuStreamEndCapture(stream))
        try:
            self._graph = _require(driver.cuGraphInstantiate(graph, 0))
        finally:
            driver.cuGraphDestroy(graph)

    def launch(self, subject: str, stream: int) -> None:
        """Queue the recorded work.

        Raises
        ------
        EngineError
            With fault F05 or F06, as `engines.trt.cuda.device_faults`.
        """
        (code,) = driver.cuGraphLaunch(self._graph, stream)
        if code != driver.CUresult.CUDA_SUCCESS:
            fault = "F05" if code == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY else "F06"
            raise EngineError(subject, f"the device failed: {code.name}", fault=fault)

    def close(self) -> None:
        """Free the recording; it may not be running."""
        driver.cuGraphExecDestroy(self._graph)


def _require(answer: tuple[Any, ...]) -> Any:
    """Return what comes after the status, or raise."""
    code, *values = answer
    if code != driver.CUresult.CUDA_SUCCESS:
        raise CaptureError(code.name)
    return values[0] if values else None
