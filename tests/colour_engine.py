"""Pictures that the tiny model tells apart, and an engine that can be held back, break or fail."""

from __future__ import annotations

import threading

import numpy as np

from engines.errors import EngineError
from engines.pixels import Pixels

RED, BLUE, BRIGHT = (120, 70, 70), (70, 70, 120), (220, 180, 180)
NO_ANSWER = 170
"""A model input that is brighter on average gets no answer of an engine that is told so."""


def picture(colour, seed=0):
    """Return noise of a colour; the tiny model tells red from blue."""
    noise = np.random.default_rng(seed).integers(0, 30, (48, 64, 1), np.uint8)
    return Pixels((np.array(colour, np.uint8) + noise,))


class Spoilt:
    """A real engine that can be held back, break, or fail at bright pictures."""

    def __init__(self, engine):
        self.engine, self.asked, self.runs = engine, 0, []
        self.free = threading.Event()
        self.free.set()
        self.fault, self.most = "", 255

    def __getattr__(self, key):
        return getattr(self.engine, key)

    def submit(self, frames):
        self.runs.append(len(frames))
        assert self.free.wait(20)
        if self.fault:
            raise EngineError("fake", "illegal address", fault=self.fault)
        if max(frame.mean() for frame in frames) > self.most:
            raise EngineError("fake", "outputs hold NaN", fault="F08")
        return self.engine.submit(frames)
