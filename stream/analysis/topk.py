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

from engines.spec import ModelSpec
from stream.analysis.score import SCORES
from stream.config import AnalysisConfig
from stream.errors import UsageError
from stream.frame import Frame, FrameId, Prediction
from stream.sources.ring import keep_frame

MIN_GAIN = 1e-9


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
        if config.score not in SCORES:
            raise UsageError(f"score {config.score!r}", "unknown", f"one of: {', '.join(SCORES)}")
        self._score, self._spec, self._config = SCORES[config.score], spec, config
        self._kept: list[RankedFrame] = []
        self._units: list[NDArray[np.float32]] = []
        self._similarity = np.zeros((0, 0))

    def offer(self, frame: Frame, prediction: Prediction, time_ns: int) -> RankedFrame | None:
        """Consider a valid frame; return it as kept, or None when it is not good enough.

        On a tie the earlier frame stays. A copy of a kept frame is never kept.
        """
        score = self._score(prediction, self._spec)
        candidate = RankedFrame(frame, prediction, time_ns, score.value, score.parts)
        if len(self._kept) == self._config.top_k and score.value <= self._worst_case():
            return None
        assert prediction.features is not None
        unit = prediction.features / max(float(np.linalg.norm(prediction.features)), 1e-12)
        similar = np.array([self._alike(candidate, unit, i) for i in range(len(self._kept))])
        if any(
            kept.score == candidate.score and np.array_equal(unit, other)
            for kept, other in zip(self._kept, self._units, strict=True)
        ):
            return None
        if len(self._kept) < self._config.top_k:
            return self._add(candidate, unit, similar)
        place = self._best_swap(candidate.score, similar)
        if place is None:
            return None
        candidate = replace(candidate, displaced=self._kept[place].frame.id)
        self._remove(place)
        return self._add(candidate, unit, np.delete(similar, place))

    def ranked(self) -> tuple[RankedFrame, ...]:
        """Return the kept frames, best first; of equals the earlier one."""
        order = sorted(self._kept, key=lambda kept: (-kept.score, kept.frame.id))
        return tuple(replace(kept, rank=place) for place, kept in enumerate(order, 1))

    def _worst_case(self) -> float:
        """Return a score below which no swap can gain: the least score less its whole penalty."""
        return min(kept.score for kept in self._kept) - self._config.diversity

    def _alike(self, candidate: RankedFrame, unit: NDArray[np.float32], place: int) -> float:
        """Return similarity in [0, 1]: half nearness in time, half 1 - sine of feature angle."""
        apart_s = abs(candidate.time_ns - self._kept[place].time_ns) * 1e-9
        near = max(0.0, 1.0 - apart_s / self._config.moment_s)
        cosine = float(np.dot(unit, self._units[place]))
        return 0.5 * near + 0.5 * (1.0 - math.sqrt(max(0.0, 1.0 - cosine * cosine)))

    def _best_swap(self, score: float, similar: NDArray[np.float64]) -> int | None:
        scores = np.array([kept.score for kept in self._kept])
        price = self._config.diversity / max(1, self._config.top_k - 1)
        cost_now = self._similarity.sum(axis=1)
        cost_then = similar.sum() - similar
        gains = (score - scores) - price * (cost_then - cost_now)
        best = [place for place, gain in enumerate(gains) if gain >= gains.max() - MIN_GAIN]
        latest = max(best, key=lambda place: self._kept[place].frame.id)
        return latest if gains[latest] > MIN_GAIN else None

    def _add(
        self, kept: RankedFrame, unit: NDArray[np.float32], similar: NDArray[np.float64]
    ) -> RankedFrame:
        count = len(self._kept)
        grown = np.zeros((count + 1, count + 1))
        grown[:count, :count] = self._similarity
        grown[count, :count] = grown[:count, count] = similar
        self._similarity = grown
        self._kept.append(replace(kept, frame=keep_frame(kept.frame)))
        self._units.append(unit)
        return kept

    def _remove(self, place: int) -> None:
        del self._kept[place], self._units[place]
        self._similarity = np.delete(np.delete(self._similarity, place, 0), place, 1)
