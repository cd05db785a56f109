"""Probabilities over time: a media clock, an exponential average, and a label with hysteresis."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.spec import ModelSpec
from stream.config import AnalysisConfig

UNCERTAIN = "uncertain"
MAX_LEAP_NS = 60 * 1_000_000_000
BREAK_NS = 2 * 1_000_000_000


class MediaClock:
    """Turns presentation times that may be absent, go back or leap into a steady clock.

    Parameters
    ----------
    period_ns : step used where the source gives none
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._offset_ns: int | None = None
        self._now_ns = 0

    def read(self, pts_ns: int | None) -> tuple[int, bool]:
        """Return ns since the first frame, never decreasing, and whether the time jumped."""
        if self._offset_ns is None:
            self._offset_ns = -(pts_ns or 0)
            return 0, False
        if pts_ns is None:
            self._now_ns += self._period_ns
            return self._now_ns, False
        step_ns = pts_ns + self._offset_ns - self._now_ns
        jumped = not 0 <= step_ns <= MAX_LEAP_NS
        if jumped:
            self._offset_ns += self._period_ns - step_ns
            step_ns = self._period_ns
        self._now_ns += step_ns
        return self._now_ns, jumped


class Smoothed(NamedTuple):
    """Averaged probabilities (C,) and the label shown for them."""

    probs: NDArray[np.float32]
    label: str


class Smoother:
    """Exponential average over time, then a label that changes only after it has held.

    The weight of the past after dt seconds is exp(-dt / smoothing_s), so the result does not
    depend on the frame rate.

    The first label is taken at once. Nothing is carried over a break, which is a gap in valid
    frames longer than `BREAK_NS`, a jump of the clock, or a new epoch; nor between pictures
    without time, such as stills, which have nothing to do with each other.

    Parameters
    ----------
    spec : class names, positive class and threshold
    config : smoothing_s, hold_s and margin
    """

    def __init__(self, spec: ModelSpec, config: AnalysisConfig) -> None:
        self._spec, self._config = spec, config
        self.restart()

    def restart(self) -> None:
        """Forget everything seen so far."""
        self._probs: NDArray[np.float64] | None = None
        self._time_ns = 0
        self._label: str | None = None
        self._candidate = UNCERTAIN
        self._candidate_since_ns = 0

    def update(self, time_ns: int, probs: NDArray[np.float32]) -> Smoothed:
        """Take the probabilities (C,) of a valid frame at `time_ns` of the media clock."""
        if time_ns - self._time_ns > BREAK_NS:
            self.restart()
        if self._probs is None:
            self._probs = probs.astype(np.float64)
        else:
            past = self._past_weight((time_ns - self._time_ns) * 1e-9)
            self._probs = past * self._probs + (1 - past) * probs
        self._time_ns = time_ns
        label = self._settle(self._decide(self._probs), time_ns)
        return Smoothed(self._probs.astype(np.float32), label)

    def _past_weight(self, elapsed_s: float) -> float:
        return math.exp(-elapsed_s / self._config.smoothing_s) if self._config.smoothing_s else 0.0

    def _settle(self, label: str, time_ns: int) -> str:
        if label != self._candidate:
            self._candidate, self._candidate_since_ns = label, time_ns
        held = time_ns - self._candidate_since_ns >= self._config.hold_s * 1e9
        if self._label is None or held:
            self._label = label
        return self._label

    def _decide(self, probs: NDArray[np.float64]) -> str:
        spec, margin = self._spec, self._config.margin
        positive, threshold = float(probs[spec.positive_index]), spec.threshold
        if positive >= min(threshold + margin, (threshold + 1) / 2):
            return spec.positive_class
        if positive > max(threshold - margin, threshold / 2):
            return UNCERTAIN
        others = [i for i in range(len(spec.classes)) if i != spec.positive_index]
        first, *rest = sorted(others, key=lambda i: -probs[i])
        if rest and probs[first] - probs[rest[0]] < margin:
            return UNCERTAIN
        return spec.classes[first]
