"""Keeps the best k frames of a stream, diverse in time and in feature space.

The kept set S maximises, by single swaps as frames arrive,

    F(S) = sum of scores - diversity / (k - 1) * sum over pairs of similarity

so memory is k frames and a frame costs k dot products. Streaming diversification by swaps:
Minack, Siberski, Nejdl, "Incremental diversification for very large sets", SIGIR 2011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.preprocess import place
from engines.spec import ModelSpec
from stream.analysis.score import find_score
from stream.config import AnalysisConfig
from stream.frame import Frame, FrameId, Prediction
from stream.sources.ring import keep_frame

MIN_GAIN = 1e-3
"""A swap must gain this much of score, or neighbouring frames would take turns."""
TIE = 1e-9
COPY_ANGLE = 1e-3
"""Features nearer than this, as sine of the angle and relative length, are of one picture."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedFrame:
    """One kept frame.

    Parameters
    ----------
    frame, prediction : as analysed; the prediction has an answer
    time_ns : on the media clock
    score : in [0, 1]
    score_parts : what the score was made of
    displaced : the frame that had to go for this one, or None
    rank : 1 is the best; 0 until ranked
    """

    frame: Frame
    prediction: Prediction
    time_ns: int
    score: float
    score_parts: Mapping[str, float]
    displaced: FrameId | None = None
    rank: int = 0


class TopK:
    """The best k frames so far.

    Parameters
    ----------
    spec : of the model that answers
    config : top_k, score, diversity and moment_s

    Raises
    ------
    UsageError
        If the score has no such name.
    """

    def __init__(self, spec: ModelSpec, config: AnalysisConfig) -> None:
        self._score, self._spec, self._config = find_score(config.score), spec, config
        self._price = config.diversity / max(1, config.top_k - 1)
        self._kept: list[RankedFrame] = []
        self._units: list[NDArray[np.float32]] = []
        self._lengths, self._scores = np.ones(config.top_k), np.zeros(config.top_k)
        self._similarity = np.zeros((config.top_k, config.top_k))
        self._costs = np.zeros(config.top_k)
        self._hopeless = -math.inf

    def offer(self, frame: Frame, prediction: Prediction, time_ns: int) -> RankedFrame | None:
        """Consider a valid frame; return it as kept, or None when it is not good enough.

        On a tie the earlier frame stays. A copy of a kept frame, such as a frozen picture makes
        them, is never kept.
        """
        where = place(frame.pixels.shape_hw, self._spec.input_wh, self._spec.fit)
        score = self._score(prediction, self._spec, where)
        if score.value <= self._hopeless:
            return None
        features = prediction.features
        assert features is not None
        length = max(math.sqrt(np.dot(features, features)), 1e-12)
        unit = features / np.float32(length)
        sines = self._sines(unit)
        if self._is_copy(sines, length):
            return None
        near = [self._near(time_ns, kept) for kept in self._kept] if frame.pts_ns is not None else 0
        similar = 0.5 * np.array(near) + 0.5 * (1 - sines)
        index = self._place(score.value, similar)
        if index is None:
            return None
        gone = self._kept[index].frame.id if index < len(self._kept) else None
        own = keep_frame(frame)
        kept = RankedFrame(own, prediction, time_ns, score.value, score.parts, gone)
        self._put(index, kept, unit, length, similar)
        return kept

    def ranked(self) -> tuple[RankedFrame, ...]:
        """Return the kept frames, best first; of equals the earlier one."""
        order = sorted(self._kept, key=lambda kept: (-kept.score, kept.frame.id))
        return tuple(replace(kept, rank=rank) for rank, kept in enumerate(order, 1))

    def _near(self, time_ns: int, kept: RankedFrame) -> float:
        """Return nearness in time in [0, 1]."""
        apart_s = abs(time_ns - kept.time_ns) * 1e-9
        return max(0.0, 1.0 - apart_s / self._config.moment_s)

    def _sines(self, unit: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sine of the feature angle to each kept frame, (k,).

        One product a pair: that of a matrix would depend in its last bits on how many are kept.
        """
        cosines = np.array([np.dot(unit, other) for other in self._units], np.float64)
        return np.sqrt(np.maximum(0.0, 1.0 - cosines * cosines))

    def _is_copy(self, sines: NDArray[np.float64], length: float) -> bool:
        return any(
            sine < COPY_ANGLE and abs(length / other - 1) < COPY_ANGLE
            for sine, other in zip(sines.tolist(), self._lengths.tolist(), strict=False)
        )

    def _place(self, score: float, similar: NDArray[np.float64]) -> int | None:
        """Return where a frame goes: behind the others, or in place of the one to lose."""
        if len(self._kept) < self._config.top_k:
            return len(self._kept)
        cost_then = similar.sum() - similar
        gains = (score - self._scores) - self._price * (cost_then - self._costs)
        best = np.flatnonzero(gains >= gains.max() - TIE).tolist()
        latest = max(best, key=lambda index: self._kept[index].frame.id)
        return latest if gains[latest] > MIN_GAIN else None

    def _put(
        self,
        index: int,
        kept: RankedFrame,
        unit: NDArray[np.float32],
        length: float,
        similar: NDArray[np.float64],
    ) -> None:
        count = len(similar)
        self._kept[index : index + 1], self._units[index : index + 1] = [kept], [unit]
        self._lengths[index], self._scores[index] = length, kept.score
        self._similarity[index, :count] = self._similarity[:count, index] = similar
        self._similarity[index, index] = 0.0
        self._costs = self._similarity.sum(axis=1)
        if len(self._kept) == self._config.top_k:
            # A frame that is like no other gains its score less one kept score, and the price
            # that the kept frame cost.
            self._hopeless = float((self._scores - self._price * self._costs).min()) + MIN_GAIN
