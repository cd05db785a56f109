"""Makes batches of frames that are submitted one by one, for engines that are faster with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.base import OUTPUTS, Engine, EngineInfo, EngineOutput, Pending
from engines.errors import EngineError
from engines.load import Model

Failure = EngineError | MemoryError


class Gather:
    """An engine that holds frames back until a batch is full, or somebody waits for an answer.

    Parameters
    ----------
    engine : takes batches; the caller closes it
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open = _Batch(engine)

    @property
    def model(self) -> Model:
        """As of the engine."""
        return self._engine.model

    @property
    def info(self) -> EngineInfo:
        """As of the engine."""
        return self._engine.info

    @property
    def depth(self) -> int:
        """How many frames fill the runs that the engine may have under way."""
        return self._engine.depth * self._engine.max_batch

    @property
    def max_batch(self) -> int:
        """One: batches are made here."""
        return 1

    def submit(self, frames: NDArray[np.uint8]) -> Pending:
        """Add one frame, shape (1, h, w, 3), to the batch that is being gathered."""
        if self._open.sent:
            self._open = _Batch(self._engine)
        share = _Share(self._open, len(self._open.frames))
        self._open.frames.append(frames)
        if len(self._open.frames) == self._engine.max_batch:
            self._open.send()
        return share

    def close(self) -> None:
        """Do nothing: the engine is the caller's."""


class _Batch:
    """Frames that go in one run.

    Attributes
    ----------
    frames : shape (1, h, w, 3) each
    sent : no more can be added
    """

    def __init__(self, engine: Engine) -> None:
        self.frames: list[NDArray[np.uint8]] = []
        self.sent = False
        self._engine = engine
        self._found: Pending | Failure | None = None

    def send(self) -> None:
        """Start the run; a failure is told by `answer`, unless it ends everything (F06)."""
        self.sent = True
        try:
            self._found = self._engine.submit(np.concatenate(self.frames))
        except (EngineError, MemoryError) as error:
            self._found = error
            if isinstance(error, EngineError) and error.fault == "F06":
                raise

    def answer(self, place: int) -> EngineOutput:
        """Wait for the run and return the part of one frame, which is run alone if it failed.

        One frame that makes the engine answer with NaN fails alone so, as it does in `step`.
        """
        if not self.sent:
            self.send()
        try:
            output = self._wait()
        except EngineError as error:
            if error.fault != "F08":
                raise
            return self._engine.submit(self.frames[place]).result()
        part = slice(place, place + 1)
        return EngineOutput(*(getattr(output, name)[part] for name in OUTPUTS))

    def _wait(self) -> EngineOutput:
        assert self._found is not None, "it was sent"
        if isinstance(self._found, EngineError | MemoryError):
            raise self._found
        return self._found.result()


@dataclass(frozen=True, slots=True)
class _Share:
    """The answer to one frame of a batch."""

    batch: _Batch
    place: int

    def result(self) -> EngineOutput:
        """Wait for the batch and return this frame's part."""
        return self.batch.answer(self.place)
