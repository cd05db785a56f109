"""How long to wait before a lost source is tried again."""

from __future__ import annotations

FIRST_S, MOST_S = 0.5, 5.0


class Backoff:
    """Waits that double from `FIRST_S` up to `MOST_S`, without end; a good picture starts anew."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def next_s(self) -> float:
        """Return how long to wait now, in seconds; the next wait is twice as long."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, MOST_S)
        return wait_s

    def reset(self) -> None:
        """A picture came: the next loss is waited for briefly again."""
        self._next_s = FIRST_S
