"""Notices that the machine slept, or that this process was stopped, so that nobody is blamed."""

from __future__ import annotations

from stream.clock import MS, now_ns

ASLEEP_NS = 500 * MS
"""A round of a loop that waits 50 ms at most takes this long only if it was not let run."""


class Wake:
    """Watches the rounds of one loop.

    Attributes
    ----------
    since_ns : since when the loop runs without a pause
    """

    def __init__(self) -> None:
        self.since_ns = self._round_ns = now_ns()

    def slept_ns(self) -> int:
        """Return how long the round took if that was a pause, else 0; called once in each round."""
        now = now_ns()
        took_ns, self._round_ns = now - self._round_ns, now
        if took_ns < ASLEEP_NS:
            return 0
        self.since_ns = now
        return took_ns
