"""What TensorRT says: kept, so that an error can quote it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from functools import cache

import tensorrt as trt

from engines.errors import EngineError
from engines.trt.cuda import SMALLER

KEPT = 64
QUOTED = 3
_MEMORY = ("out of memory", "outofmemory", "could not be allocated", "mem_alloc_failed")
_log = logging.getLogger(__name__)


class Messages(trt.ILogger):  # type: ignore[misc, unused-ignore]
    """The log of TensorRT; its threads write here at any time.

    Errors are kept; errors and warnings also go to the logger of this module.
    """

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self._lock = threading.Lock()
        self._errors: deque[str] = deque(maxlen=KEPT)
        self._count = 0

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Take a message; called by TensorRT."""
        if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
            with self._lock:
                self._errors.append(" ".join(msg.split()))
                self._count += 1
        elif severity != trt.ILogger.Severity.WARNING:
            return
        _log.debug("%s", msg)

    def mark(self) -> int:
        """Return a place in the log, for `since`."""
        with self._lock:
            return self._count

    def since(self, mark: int) -> list[str]:
        """Return the errors after `mark`, oldest first, at most `KEPT`."""
        with self._lock:
            fresh = min(self._count - mark, KEPT)
            return list(self._errors)[len(self._errors) - fresh :]


@cache
def shared_messages() -> Messages:
    """Return the one log of this process: TensorRT keeps the first that it is given."""
    return Messages()


def failure(subject: str, what: str, mark: int, fault: str) -> EngineError:
    """Return the error for a call of TensorRT that failed, with its own words.

    Parameters
    ----------
    mark : of the log before the call
    fault : id; F05 takes its place when TensorRT speaks of memory
    """
    lines = shared_messages().since(mark)
    words = "; ".join(dict.fromkeys(lines[-QUOTED:])) or "it gave no reason"
    if any(sign in line.lower() for line in lines for sign in _MEMORY):
        return EngineError(subject, f"out of device memory: {what}: {words}", SMALLER, fault="F05")
    return EngineError(subject, f"{what}: {words}", fault=fault)
