"""Settles every frame of a live session once: answered, or lost for a named reason."""

from __future__ import annotations

from typing import Literal, NamedTuple

LossName = Literal["capture_drop", "transport_gap", "skipped_by_policy", "not_recorded"]

DROPPED = "capture did not publish them"
NO_WORKER = "no worker was ready to take them"
NEWER = "a newer frame was there"
LOST_ANSWERS = "answers were lost on the way to the recorder"
AWAY = "the recorder was away"
FAILED = "they could not be written"
ENDED = "the session ended first"


class Loss(NamedTuple):
    """A run of frames that nobody answered for; `name` as in the ledger."""

    first_seq: int
    last_seq: int
    name: LossName
    reason: str


class Account:
    """Names what became of the frames between answers.

    A worker takes the newest frame, so its answers come in order of `seq` and leave gaps; a gap is
    settled when the answer after it comes, or at the end.

    Parameters
    ----------
    settled : frames below this `seq` are settled already, by a recorder that was here before
    away : why what follows them was not recorded
    """

    def __init__(self, settled: int = 0, away: str = AWAY) -> None:
        self.settled, self._away = settled, away
        self._recovering = settled > 0
        self._dropped: list[tuple[int, int]] = []
        self._last: tuple[int, int] | None = None  # worker and number of the last answer
        self._gone = False  # and nobody has answered since it ended

    def published(self, before: int, seq: int) -> None:
        """Take note of a published frame; capture dropped what lies after `before`."""
        first = max(before + 1, self.settled)
        if first < seq and (not self._dropped or self._dropped[-1][1] < first):
            self._dropped.append((first, seq - 1))

    def answered(self, seq: int, worker: int, number: int) -> list[Loss] | None:
        """Settle an answer and the gap before it.

        Parameters
        ----------
        seq : of the frame
        worker, number : which worker of the session, its how many-th answer, both from 0

        Returns
        -------
        the losses of the gap, or None if the frame was settled before: the answer is a repeat
        """
        if seq < self.settled:
            return None
        name, reason = self._why(worker, number)
        losses = self._settle(seq, name, reason)
        self.settled, self._last, self._recovering = seq + 1, (worker, number), False
        self._gone = False
        return losses

    def worker_ended(self) -> None:
        """Take note that there is no worker, until the next answer."""
        self._gone = True

    def unrecorded(self, seq: int, reason: str) -> list[Loss]:
        """Settle an answer that came and could not be kept, and the gap before it."""
        return self._settle(seq + 1, "not_recorded", reason)

    def finish(self, grabbed: int) -> list[Loss]:
        """Settle all that is left, up to the number of frames grabbed."""
        if self._recovering:
            return self._settle(grabbed, "not_recorded", self._away)
        if self._last is None or self._gone:
            return self._settle(grabbed, "transport_gap", NO_WORKER)
        return self._settle(grabbed, "skipped_by_policy", ENDED)

    def _why(self, worker: int, number: int) -> tuple[LossName, str]:
        if self._recovering:
            return "not_recorded", self._away
        last_worker, last_number = self._last or (-1, -1)
        if worker != last_worker:
            lost = number > 0
            return ("not_recorded", LOST_ANSWERS) if lost else ("transport_gap", NO_WORKER)
        if number > last_number + 1:
            return "not_recorded", LOST_ANSWERS
        return "skipped_by_policy", NEWER

    def _settle(self, end: int, name: LossName, reason: str) -> list[Loss]:
        """Settle the frames from `settled` up to but not including `end`."""
        losses, start = [], self.settled
        while self._dropped and self._dropped[0][0] < end:
            first, last = self._dropped.pop(0)
            if last >= end:
                self._dropped.insert(0, (end, last))
            last = min(last, end - 1)
            if start < first:
                losses.append(Loss(start, first - 1, name, reason))
            losses.append(Loss(first, last, "capture_drop", DROPPED))
            start = last + 1
        if start < end:
            losses.append(Loss(start, end - 1, name, reason))
        self.settled = max(end, self.settled)
        return losses
