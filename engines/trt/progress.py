"""Shows how far a build is, and lets a person end it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import tensorrt as trt


class Progress(trt.IProgressMonitor):  # type: ignore[misc, unused-ignore]
    """Says each phase of a build and every quarter of it.

    Parameters
    ----------
    say : gets the lines, one at a time; they may come from TensorRT's own threads
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        trt.IProgressMonitor.__init__(self)
        self._say = say
        self._lock = threading.Lock()
        self._steps: dict[str, int] = {}
        self._interrupted = False

    @property
    def interrupted(self) -> bool:
        """Whether the person interrupted the build."""
        return self._interrupted

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Take the start of a phase; called by TensorRT."""
        with self._interruptible(), self._lock:
            self._steps[phase_name] = num_steps
            if not parent_phase:
                self._say(f"TensorRT: {phase_name}, {num_steps} steps")

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Take a finished step; False ends the build. Called by TensorRT."""
        with self._interruptible(), self._lock:
            steps = self._steps.get(phase_name, 0)
            done = step + 1
            if steps >= 4 and 4 * done // steps > 4 * step // steps:
                self._say(f"TensorRT: {phase_name}, {done} of {steps}")
        return not self._interrupted

    def phase_finish(self, phase_name: str) -> None:
        """Take the end of a phase; called by TensorRT."""
        with self._interruptible(), self._lock:
            self._steps.pop(phase_name, None)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        # Python delivers an interrupt inside whatever Python code runs first, which is here; it
        # may not pass through TensorRT's own frames.
        try:
            yield
        except KeyboardInterrupt:
            self._interrupted = True
