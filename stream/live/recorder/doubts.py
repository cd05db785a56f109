"""Answers that were withdrawn: they may reach the recorder after the word that they are (F07)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stream.analysis.topk import RankedFrame
from stream.live.wire.messages import Order
from stream.live.worker.results import Result, taken_back


class Doubts:
    """Which answers were withdrawn, and why."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[int, int], str] = {}

    def __iter__(self) -> Iterator[tuple[int, int, str]]:
        """Iterate over the first and the last frame of each withdrawal, and why."""
        return ((first, last, reason) for (first, last), reason in self._reasons.items())

    def add(self, order: Order) -> bool:
        """Take note of a withdrawal; return False if it is known already."""
        span = (order.seq + 1, order.last_seq)
        known = span in self._reasons
        self._reasons[span] = order.text
        return not known

    def judge(self, result: Result) -> Result:
        """Return an answer that came late as it must be recorded: without what was withdrawn."""
        reason = self._reason(result.header.seq)
        if reason is None or result.prediction.probs is None:
            return result
        return taken_back(result, reason)

    def without(self, ranked: Iterable[RankedFrame]) -> list[RankedFrame]:
        """Return the frames whose answers hold."""
        return [kept for kept in ranked if self._reason(kept.frame.id.seq) is None]

    def _reason(self, seq: int) -> str | None:
        reasons = (reason for first, last, reason in self if first <= seq <= last)
        return next(reasons, None)
