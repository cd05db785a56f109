"""Follows a stream of predictions: clock, smoothing, ranking, ledger and verdict in one place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from engines.spec import ModelSpec
from stream.analysis.smooth import MediaClock, Smoothed, Smoother
from stream.analysis.topk import RankedFrame, TopK
from stream.analysis.verdict import Verdict, judge_clip
from stream.config import AnalysisConfig
from stream.frame import Frame, Prediction


@dataclass(frozen=True, slots=True)
class Tracked:
    """What one frame changed.

    Parameters
    ----------
    time_ns : on the media clock
    jumped : the source's time went back or leapt here
    smoothed : None for a frame that was not believed
    kept : the frame as ranked, if it entered the key frames
    """

    time_ns: int
    jumped: bool
    smoothed: Smoothed | None
    kept: RankedFrame | None


class Tracker:
    """The state that lives from frame to frame.

    Parameters
    ----------
    spec : of the model that answers
    config : of the analysis
    """

    def __init__(self, spec: ModelSpec, config: AnalysisConfig) -> None:
        self._spec, self._config = spec, config
        self._clock = MediaClock(round(config.frame_s * 1e9))
        self._smoother = Smoother(spec, config)
        self._topk = TopK(spec, config)
        self._labels: Counter[str] = Counter()
        self._total = 0
        self._epoch = 0

    def update(self, frame: Frame, prediction: Prediction) -> Tracked:
        """Take the next frame in order."""
        self._total += 1
        time_ns, jumped = self._clock.read(frame.pts_ns)
        if jumped or frame.id.epoch != self._epoch or frame.pts_ns is None:
            self._epoch = frame.id.epoch
            self._smoother.restart()
        if prediction.state != "ok" or prediction.probs is None:
            return Tracked(time_ns, jumped, None, None)
        smoothed = self._smoother.update(time_ns, prediction.probs)
        self._labels[smoothed.label] += 1
        kept = self._topk.offer(frame, prediction, time_ns)
        return Tracked(time_ns, jumped, smoothed, kept)

    def lose(self, count: int) -> None:
        """Count frames whose answers were taken back; what follows them starts afresh."""
        self._total += count
        self._smoother.restart()

    def ranked(self) -> tuple[RankedFrame, ...]:
        """Return the key frames so far, best first."""
        return self._topk.ranked()

    def verdict(self) -> Verdict:
        """Return the verdict on what has been seen so far."""
        return judge_clip(self._labels, self._total, self._spec, self._config)
