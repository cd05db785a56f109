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
        self._kept: list[RankedFrame] = []
        self._units: list[NDArray[np.float32]] = []
        self._lengths = np.zeros(0)
        self._similarity = np.zeros((0, 0))

    def offer(self, frame: Frame, prediction: Prediction, time_ns: int) -> RankedFrame | None:
        """Consider a valid frame; return it as kept, or None when it is not good enough.

        On a tie the earlier frame stays. A copy of a kept frame, such as a frozen picture makes
        them, is never kept.
        """
        where = place(frame.pixels.shape_hw, self._spec.input_wh, self._spec.fit)
        score = self._score(prediction, self._spec, where)
        candidate = RankedFrame(frame, prediction, time_ns, score.value, score.parts)
        if len(self._kept) == self._config.top_k and score.value <= self._worst_case():
            return None
        assert prediction.features is not None
        length = max(math.sqrt(np.dot(prediction.features, prediction.features)), 1e-12)
        unit = prediction.features / np.float32(length)
        sines = self._sines(unit)
        if ((sines < COPY_ANGLE) & (abs(length / self._lengths - 1) < COPY_ANGLE)).any():
            return None
        near = [self._near(candidate, kept) for kept in self._kept]
        similar = 0.5 * np.array(near) + 0.5 * (1 - sines)
        if len(self._kept) < self._config.top_k:
            return self._add(candidate, unit, length, similar)
        loser = self._best_swap(candidate.score, similar)
        if loser is None:
            return None
        candidate = replace(candidate, displaced=self._kept[loser].frame.id)
        self._remove(loser)
        return self._add(candidate, unit, length, np.delete(similar, loser))

    def ranked(self) -> tuple[RankedFrame, ...]:
        """Return the kept frames, best first; of equals the earlier one."""
        order = sorted(self._kept, key=lambda kept: (-kept.score, kept.frame.id))
        return tuple(replace(kept, rank=rank) for rank, kept in enumerate(order, 1))

    def _worst_case(self) -> float:
        """Return a score below which no swap can gain: the least score less its whole penalty."""
        return min(kept.score for kept in self._kept) - self._config.diversity

    def _near(self, candidate: RankedFrame, kept: RankedFrame) -> float:
        """Return nearness in time in [0, 1]; 0 for pictures without time."""
        if candidate.frame.pts_ns is None:
            return 0.0
        apart_s = abs(candidate.time_ns - kept.time_ns) * 1e-9
        return max(0.0, 1.0 - apart_s / self._config.moment_s)

    def _sines(self, unit: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sine of the feature angle to each kept frame, (k,).

        One product a pair: that of a matrix would depend in its last bits on how many are kept.
        """
        cosines = np.array([np.dot(unit, other) for other in self._units], np.float64)
        return np.sqrt(np.maximum(0.0, 1.0 - cosines * cosines))

    def _best_swap(self, score: float, similar: NDArray[np.float64]) -> int | None:
        scores = np.array([kept.score for kept in self._kept])
        price = self._config.diversity / max(1, self._config.top_k - 1)
        cost_now = self._similarity.sum(axis=1)
        cost_then = similar.sum() - similar
        gains = (score - scores) - price * (cost_then - cost_now)
        best = [index for index, gain in enumerate(gains) if gain >= gains.max() - TIE]
        latest = max(best, key=lambda index: self._kept[index].frame.id)
        return latest if gains[latest] > MIN_GAIN else None

    def _add(
        self,
        kept: RankedFrame,
        unit: NDArray[np.float32],
        length: float,
        similar: NDArray[np.float64],
    ) -> RankedFrame:
        count = len(self._kept)
        grown = np.zeros((count + 1, count + 1))
        grown[:count, :count] = self._similarity
        grown[count, :count] = grown[:count, count] = similar
        self._similarity = grown
        self._kept.append(replace(kept, frame=keep_frame(kept.frame)))
        self._units.append(unit)
        self._lengths = np.append(self._lengths, length)
        return kept

    def _remove(self, index: int) -> None:
        del self._kept[index], self._units[index]
        self._lengths = np.delete(self._lengths, index)
        self._similarity = np.delete(np.delete(self._similarity, index, 0), index, 1)
