"""Keeps a log from filling the disk: a line that repeats is printed once, then counted (F39)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from stream.clock import MS, now_ns

EVERY_NS = 10_000 * MS
MOST_LINES = 256
_NUMBER = re.compile(r"\d+")


class Quiet(logging.Filter):
    """Lets a line through at first, and again each 10 s with how often it came in between.

    Lines that differ in numbers alone are the same line.

    Parameters
    ----------
    clock : tells the time in ns
    """

    def __init__(self, clock: Callable[[], int] = now_ns) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}  # when it was let through, since

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on a line, and add the count to one that had been held back."""
        text, now = record.getMessage(), self._clock()
        name = (record.name, _NUMBER.sub("#", text))
        if name not in self._seen and len(self._seen) >= MOST_LINES:
            self._seen.clear()
        shown_ns, held = self._seen.get(name, (now - EVERY_NS, 0))
        if now - shown_ns < EVERY_NS:
            self._seen[name] = (shown_ns, held + 1)
            return False
        self._seen[name] = (now, 0)
        if held:
            record.msg, record.args = f"{text} (and {held} times more before)", ()
        return True


def quieten() -> None:
    """Let every handler of the root logger hold back what repeats."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(Quiet())
