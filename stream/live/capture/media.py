"""The time that a source gives with its pictures: watched, and never believed."""

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
