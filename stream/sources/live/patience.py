"""Calls that may never return, with a limit on the wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_Value = TypeVar("_Value")
_STUCK_S = 0.2  # what hangs for long is not waited for again


class TooLate(Exception):  # noqa: N818 - no failure by itself; the caller names the cause
    """The call did not return in time and may never do."""


class Patient:
    """Runs calls one after the other in a thread of its own, for drivers without a time limit.

    A call that came too late leaves its thread behind, which ends with the process; then this
    object is used up and every further call is too late at once.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stuck = self._ended = False
        threading.Thread(target=self._work, daemon=True, name="patient").start()

    def call(self, work: Callable[[], _Value], limit_s: float) -> _Value:
        """Return what `work` returns, or raise what it raises.

        Parameters
        ----------
        work : may block
        limit_s : longest wait

        Raises
        ------
        TooLate
            If it takes longer, or an earlier call did.
        """
        if self._stuck:
            raise TooLate
        answers: queue.SimpleQueue[tuple[list[_Value], Exception | None]] = queue.SimpleQueue()

        def answer() -> None:
            try:
                answers.put(([work()], None))
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                answers.put(([], error))

        self._calls.put(answer)
        try:
            values, error = answers.get(timeout=limit_s)
        except queue.Empty:
            self._stuck = True
            raise TooLate from None
        if error is not None:
            raise error
        return values[0]

    def end_with(self, last: Callable[[], None], limit_s: float) -> None:
        """Run a last call and end the thread; wait for it no longer than the limit."""
        done = threading.Event()

        def finish() -> None:
            try:
                last()
            finally:
                self._ended = True
                done.set()

        self._calls.put(finish)
        done.wait(min(limit_s, _STUCK_S) if self._stuck else limit_s)

    def _work(self) -> None:
        while not self._ended:
            self._calls.get()()
