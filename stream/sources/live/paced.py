"""A recording or phantom played as if it were live: at its own pace, no picture left out."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from stream.clock import MS, now_ns
from stream.closing import Closing
from stream.errors import SourceError
from stream.frame import Frame
from stream.sources.live.base import Grabbed, LiveInfo
from stream.sources.live.options import LiveOptions
from stream.sources.nursery import Nursery
from stream.sources.open import SourceOptions, open_source

DEFAULT_RATE_HZ = 25.0
MAX_STEP_NS = 10_000 * MS
"""A longer step is a hole in the recording's clock, not a pause to sit through."""
MAX_LATE_NS = 250 * MS
"""What is later than this is not caught up with."""
_READER_LOST = ("F10", "F11")


class Pace:
    """When each picture is due.

    Parameters
    ----------
    period_ns : step between pictures whose time stamps say nothing
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._due_ns: int | None = None
        self._pts_ns: int | None = None

    def due_ns(self, pts_ns: int | None, at_ns: int) -> int:
        """Return when the next picture is due.

        Parameters
        ----------
        pts_ns : its place in the recording, or None
        at_ns : the clock now; the first picture is due at once, and so is a late one
        """
        if self._due_ns is None:
            self._due_ns = at_ns
        else:
            self._due_ns = max(self._due_ns + self._step_ns(pts_ns), at_ns - MAX_LATE_NS)
        self._pts_ns = pts_ns
        return self._due_ns

    def start_again(self) -> None:
        """The recording begins anew: its first picture is due a period after its last one."""
        self._pts_ns = None

    def _step_ns(self, pts_ns: int | None) -> int:
        if pts_ns is None or self._pts_ns is None:
            return self._period_ns
        step_ns = pts_ns - self._pts_ns
        return step_ns if 0 < step_ns <= MAX_STEP_NS else self._period_ns


class PacedGrabber(Closing):
    """One recording in real time; see `stream.sources.live.base.Grabber`.

    Every picture is handed out, late ones late. The pixels lie in the reader's ring and stay as
    long as somebody keeps them; whoever keeps many copies them.

    Parameters
    ----------
    address : path or ``phantom:...``
    options : `loop` and `stream_index`

    Attributes
    ----------
    index : place in the recording of the picture grabbed last, from 0; -1 before the first
    opening : how often the recording was opened again, so it grows at each turn of a loop

    Raises
    ------
    SourceError, UsageError
        As `stream.sources.open.open_source`.
    """

    def __init__(self, address: str, options: LiveOptions) -> None:
        self._address, self._options = address, options
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._held = ExitStack()
        # From nothing a reader takes 0.3 s to start, a hole at each turn of a loop.
        self._nursery = Nursery() if options.loop else None
        self.index, self.opening = -1, 0
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        info = self._source.info
        rate_hz = info.rate_hz or DEFAULT_RATE_HZ
        self._pace = Pace(round(1e9 / rate_hz))
        self._info = LiveInfo("paced", info.name, info.detail, info.rate_hz, repeatable=True)

    @property
    def info(self) -> LiveInfo:
        """Facts known once it is open."""
        return self._info

    def grab(self) -> Grabbed | None:
        """Wait until the next picture is due; None at the end when it does not loop.

        Raises
        ------
        SourceError
            If the recording cannot be read on, or was closed.
        """
        with self._lock:
            self._wait_until(0)
            frame = self._next()
            if frame is None:
                return None
            self._wait_until(self._pace.due_ns(frame.pts_ns, now_ns()))
            self.index += 1
            return Grabbed(frame.pixels, now_ns(), frame.pts_ns, frame.damage)

    def close(self) -> None:
        """End the reader; a grab under way ends first."""
        self._stopping.set()
        with self._lock:
            self._held.close()
            if self._nursery is not None:
                self._nursery.close()
                self._nursery = None

    def _next(self) -> Frame | None:
        frame = next(self._frames, None)
        if frame is not None:
            return frame
        self._check_reader()
        if not self._options.loop:
            return None
        self._held.close()
        self._open()
        self.opening, self.index = self.opening + 1, -1
        self._pace.start_again()
        return next(self._frames, None)

    def _wait_until(self, due_ns: int) -> None:
        if self._stopping.wait(max(0, due_ns - now_ns()) / 1e9):
            raise SourceError(self._info.name, "was closed")

    def _open(self) -> None:
        options = SourceOptions(stream_index=self._options.stream_index)
        source = open_source(self._address, session="live", options=options, nursery=self._nursery)
        self._held.enter_context(source)
        self._source, self._frames = source, iter(source)

    def _check_reader(self) -> None:
        """A reader that was lost in the middle is no end of the recording."""
        for problem in self._source.problems:
            if problem.fault in _READER_LOST:
                raise SourceError(self._info.name, problem.text, fault=problem.fault)
