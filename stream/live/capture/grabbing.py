"""The thread that waits for the source, opens it again when it is lost, and never holds up capture.

It hands pictures over through a place for two: for a live source the newest win and the loss shows
in the numbers, for a recording played at its own pace the thread waits instead.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from engines.errors import SonostreamError
from stream.clock import now_ns
from stream.errors import SourceError
from stream.sources.live.backoff import Backoff
from stream.sources.live.base import Grabbed, Grabber, LiveInfo

CAPACITY = 2
DEVICE_S = 0.5
"""A device that is plugged in again shows no sign of it: it is asked so often, always (F13)."""
OPENING = "opening the source"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of the source: its number from 0 and what the source said of itself."""

    number: int
    info: LiveInfo


class Delivered(NamedTuple):
    """One picture.

    Parameters
    ----------
    grabbed : as it came
    number : pictures grabbed before it since this process started, lost ones included
    place : how many came before it since the source was opened
    opening : during which it came
    """

    grabbed: Grabbed
    number: int
    place: int
    opening: Opening


class Grabbing:
    """Reads a source in a thread of its own until it is over or `close` is called.

    Parameters
    ----------
    open_grabber : opens the source
    lossless : wait rather than lose a picture, and do not try again when the source is lost
    counted : told how many pictures were grabbed so far, before one of them can be taken or lost

    Attributes
    ----------
    cause : why there is no source just now, empty while there is one
    over : the recording has ended
    failed : what makes another try useless
    stuck : the driver never returned, and keeps the device until this process ends (F11)
    waiting_since_ns : since when the source has been asked for something; 0 while it is not
    """

    def __init__(
        self,
        open_grabber: Callable[[], Grabber],
        *,
        lossless: bool,
        counted: Callable[[int], None],
    ) -> None:
        self._open, self._lossless, self._counted = open_grabber, lossless, counted
        self._items: deque[Delivered] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._openings = self._count = self.waiting_since_ns = 0
        self.cause, self.over, self.stuck = OPENING, False, False
        self.failed: SonostreamError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Delivered | None:
        """Wait for a picture; None when there is none in time."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            if not self._items:
                return None
            self._changed.notify_all()
            return self._items.popleft()

    @property
    def drained(self) -> bool:
        """The recording has ended and everything was taken."""
        return self.over and not self._items

    def close(self, wait_s: float = 1.0) -> None:
        """End the thread; one that hangs in the source ends with the process."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(wait_s)

    def _run(self) -> None:
        backoff = Backoff()
        while not (self._closing.is_set() or self.over or self.failed or self.stuck):
            try:
                self._read(backoff)
            except SourceError as error:
                self._lose(error)
                self._closing.wait(DEVICE_S if error.fault == "F13" else backoff.next_s())
            except SonostreamError as error:
                self.failed = error

    def _lose(self, error: SourceError) -> None:
        """Say why there is no source; the log has each cause once, not each try (F39)."""
        self.waiting_since_ns = 0
        if self.cause != str(error):
            self.cause = str(error)
            _log.warning("%s", error)
        # Trying a wrong password without end may lock an account.
        final = self._lossless or error.problem.startswith("wrong login")
        self.failed = error if final else None
        self.stuck = error.fault == "F11" and not self._lossless

    def _read(self, backoff: Backoff) -> None:
        """Open the source and read it until it is lost or over."""
        self.waiting_since_ns = now_ns()
        with closing(self._open()) as grabber:
            turn = -1
            while not self._closing.is_set():
                self.waiting_since_ns = now_ns()
                grabbed = grabber.grab()
                self.waiting_since_ns = 0
                if grabbed is None:
                    self.over = True
                    return
                if turn != (turn := getattr(grabber, "opening", 0)):  # a loop starts again
                    opening, place = Opening(self._openings, grabber.info), 0
                    self._openings += 1
                self.cause = ""
                backoff.reset()
                self._put(Delivered(grabbed, self._count, place, opening))
                place += 1

    def _put(self, delivered: Delivered) -> None:
        with self._changed:
            while self._lossless and len(self._items) >= CAPACITY and not self._closing.is_set():
                self._changed.wait()
            if self._closing.is_set():
                return
            self._count += 1
            self._counted(self._count)
            if len(self._items) >= CAPACITY:
                self._items.popleft()
            self._items.append(delivered)
            self._changed.notify_all()
