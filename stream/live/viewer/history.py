"""The last seconds of the picture, for freezing, stepping and pinning."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from stream.clock import MS
from stream.frame import Frame, FrameId
from stream.live.worker.results import Result

SPACING_NS = 95 * MS
"""Ten pictures a second are enough to step through."""
MAX_BYTES = 192 << 20
MAX_NS = 20_000 * MS
MAX_RESULTS = 2400


class Moment(NamedTuple):
    """A frame, when it was captured on this machine's clock, and whether it was masked."""

    frame: Frame
    captured_ns: int
    masked: bool


class History:
    """Recent frames and results.

    Attributes
    ----------
    frozen : the moment that the user looks at; None while the picture is live
    """

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque()
        self._newest: Moment | None = None
        self._results: deque[FrameId] = deque(maxlen=MAX_RESULTS)
        self._bytes = 0
        self._place = 0
        self.frozen: Moment | None = None

    def add_frame(self, frame: Frame, captured_ns: int, *, masked: bool) -> None:
        """Take the newest frame; older ones go when they take too much room."""
        self._newest = Moment(frame, captured_ns, masked)
        if self.frozen is not None:
            return  # what the user steps through stays
        if self._moments and captured_ns - self._moments[-1].captured_ns < SPACING_NS:
            return
        self._moments.append(self._newest)
        self._bytes += frame.pixels.nbytes
        while self._bytes > MAX_BYTES or captured_ns - self._moments[0].captured_ns > MAX_NS:
            self._bytes -= self._moments.popleft().frame.pixels.nbytes

    def add_result(self, result: Result) -> None:
        """Remember that a frame has an answer."""
        if result.prediction.probs is not None:
            self._results.append(result.header.id)

    def forget_results(self) -> None:
        """No frame so far has an answer any more: they were withdrawn."""
        self._results.clear()

    def freeze(self) -> None:
        """Stop at the newest frame, or go on."""
        if self.frozen is not None:
            self.frozen = None
        elif self._newest is not None:
            self.frozen = self._newest
            self._place = len(self._moments)

    def go_on(self) -> None:
        """Back to the live picture."""
        self.frozen = None

    def step(self, by: int) -> None:
        """Go `by` moments forward, backward where negative; freezes first."""
        if self.frozen is None:
            self.freeze()
        if not self._moments:
            return
        self._place = min(max(self._place + by, 0), len(self._moments) - 1)
        self.frozen = self._moments[self._place]

    def to_pin(self) -> Frame | None:
        """Return the frame looked at, or else the nearest before it, that has an answer."""
        looked_at = self.frozen or self._newest
        answered = set(self._results)
        candidates = [looked_at, *reversed(self._moments)]
        for moment in candidates:
            if moment is None or looked_at is None:
                continue
            if moment.captured_ns <= looked_at.captured_ns and moment.frame.id in answered:
                return moment.frame
        return None
