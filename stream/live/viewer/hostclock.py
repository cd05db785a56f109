"""Brings the clock of another machine onto this one's, well enough for ages."""

from __future__ import annotations

DRIFT = 1e-4
"""How fast two clocks may drift apart: a crystal of 100 parts in a million."""


class HostClock:
    """Estimates how far the clock of each other host is from ours.

    The message that took least says most: the offset is the least difference seen between arrival
    and stamp, allowed to grow by `DRIFT`. So an age on a remote screen counts every delay beyond
    the shortest one, and on the same host, where the clock is the same, it is exact.

    Parameters
    ----------
    own : `stream.clock.host_id` of this machine
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._offsets: dict[str, tuple[int, int]] = {}  # offset and when it was taken

    def observe(self, host: str, stamp_ns: int, now_ns: int) -> None:
        """Take note of a stamp that arrived now."""
        if host == self._own:
            return
        seen = now_ns - stamp_ns
        known = self._offsets.get(host)
        if known is None or seen <= known[0] + (now_ns - known[1]) * DRIFT:
            self._offsets[host] = seen, now_ns

    def local_ns(self, host: str, stamp_ns: int) -> int | None:
        """Return the stamp on our clock; None while nothing was heard from that host."""
        if host == self._own:
            return stamp_ns
        known = self._offsets.get(host)
        return None if known is None else stamp_ns + known[0]
