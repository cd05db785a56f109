"""Whose frame is next: that of each stream which has one waiting, in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from stream.frame import Frame
from stream.live.wire.channels import Poller
from stream.live.worker.desk import Desk, Taken


class Turns:
    """Takes the newest frame of one stream after the other; none of a stream twice in a sweep.

    A stream has at most one frame under way: what it sends meanwhile waits, the newest alone.

    Parameters
    ----------
    desks : one of each stream

    Attributes
    ----------
    under_way : frames that were taken and not yet answered, oldest first
    """

    def __init__(self, desks: Sequence[Desk]) -> None:
        self.under_way: deque[Taken] = deque()
        self._desks = desks
        self._ready: deque[Desk] = deque()

    def wait(self, timeout_ms: int) -> bool:
        """Wait until a stream has a frame to be taken; tell whether one has."""
        if self._ready:
            return True
        busy = {taken.desk for taken in self.under_way}
        idle = [desk for desk in self._desks if desk not in busy]
        if idle:
            found = Poller(*(desk.frames for desk in idle)).wait(timeout_ms)
            self._ready.extend(desk for desk in idle if desk.frames in found)
        return bool(self._ready)

    def take(self) -> Frame | None:
        """Return the newest frame of the next stream; None when none has one now."""
        self.wait(0)
        while self._ready:
            taken = self._ready.popleft().take()
            if taken is not None:
                self.under_way.append(taken)
                return taken.frame
        return None
