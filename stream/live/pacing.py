"""When to draw; pure, told the time.

A picture waits a moment for its own result, so that both come up together and the worker has the
processor meanwhile; it waits only while results do come so soon.
"""

from __future__ import annotations

from stream.clock import MS
from stream.frame import FrameId

HOLD_NS = 12 * MS
"""So long a picture waits, less than frames are apart at 60 a second."""
LATE_NS = 20 * MS
"""A result that comes later is drawn for its own sake if nothing was drawn for so long."""
REDRAW_NS = 33 * MS
"""Drawn anew at least so often, so that what is no longer fresh goes in time."""


class Pacing:
    """Decides from what came whether it is time to draw."""

    def __init__(self) -> None:
        self._frame: FrameId | None = None
        self._frame_ns = self._drawn_ns = 0
        self._answered = self._result = self._holds = False
        self.fresh_picture = False

    def came_frame(self, frame: FrameId, now_ns: int) -> None:
        """Take note of a new picture."""
        self._frame, self._frame_ns = frame, now_ns
        self._answered, self.fresh_picture = False, True

    def came_result(self, frame: FrameId, now_ns: int) -> None:
        """Take note of a new result."""
        self._result = True
        if frame == self._frame:
            self._answered = True
            self._holds = now_ns - self._frame_ns <= HOLD_NS

    def due(self, now_ns: int) -> bool:
        """Tell whether to draw now."""
        since_ns = now_ns - self._drawn_ns
        if self.fresh_picture:
            waited_ns = now_ns - self._frame_ns
            return self._answered or not self._holds or waited_ns >= HOLD_NS
        return since_ns >= REDRAW_NS or (self._result and since_ns >= LATE_NS)

    def drawn(self, now_ns: int) -> None:
        """Take note of a draw that began."""
        if self.fresh_picture and not self._answered:
            self._holds = False
        self._drawn_ns = now_ns
        self._result = self.fresh_picture = False
