"""Time of live pictures: how long into the session they were captured, whatever the source says."""

from __future__ import annotations

from stream.analysis.smooth import MAX_LEAP_NS


class SourceTime:
    """Watches the time that a source gives; it may lack, go back or leap (F19)."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._absent = False

    def jumps(self, pts_ns: int | None) -> bool:
        """Take the next time; tell whether it went back, leapt by over a minute, or ceased.

        A source that never gives a time never jumps; a time that stands still does not either.
        """
        last_ns, was_absent = self._last_ns, self._absent
        self._absent = pts_ns is None
        if pts_ns is None:
            return last_ns is not None and not was_absent
        self._last_ns = pts_ns
        return last_ns is not None and not 0 <= pts_ns - last_ns <= MAX_LEAP_NS


class LiveClock:
    """The counterpart of `stream.analysis.smooth.MediaClock` for live pictures.

    Parameters
    ----------
    start_ns : `stream.clock.now_ns` when the session started, on the capturing machine
    """

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._now_ns = 0
        self._source_time = SourceTime()

    def read(self, captured_ns: int, pts_ns: int | None) -> tuple[int, bool]:
        """Return ns since the start, never decreasing, and whether the source's time jumped."""
        self._now_ns = max(self._now_ns, captured_ns - self._start_ns)
        return self._now_ns, self._source_time.jumps(pts_ns)
