"""When to start, end and give up one role; pure, told the time and what happened."""

from __future__ import annotations

from collections import deque
from typing import Literal

from stream.clock import MS
from stream.live.wire.messages import RoleStanding

LATE_NS = 1000 * MS
GRACE_NS = 1000 * MS
MAX_RESTARTS, RESTARTS_NS = 5, 60_000 * MS
EXIT_REOPEN = 75
"""Status of a capture process that ends only because its source hung; never counts as a fault."""

Action = Literal["start", "terminate", "kill"]


class Keeper:
    """Keeps one role running.

    A late beat ends the process: SIGTERM, a grace later SIGKILL, then a new one. The fifth restart
    within a minute latches the fault until `reset`; tries that never came up count however long
    each took.

    Parameters
    ----------
    start_limit_ns : how long a process may take to its first beat
    late_ns : how long it may be silent
    grace_ns : how long it may take to end by itself

    Attributes
    ----------
    count : how many processes came before this one
    ending : the process was asked to end, for it was late
    """

    def __init__(
        self, start_limit_ns: int, late_ns: int = LATE_NS, grace_ns: int = GRACE_NS
    ) -> None:
        self._start_limit_ns, self._late_ns, self._grace_ns = start_limit_ns, late_ns, grace_ns
        self._restarts: deque[int] = deque()
        self.count = 0
        self.standing: RoleStanding = "down"
        self.cause = ""
        self.since_ns = 0
        self._deadline_ns: int | None = None
        self._came_up = self.ending = False

    def started(self, now_ns: int) -> None:
        """Take note that a process was started."""
        self._stand("starting", self.cause, now_ns)
        self._deadline_ns = now_ns + self._start_limit_ns
        self._came_up = self.ending = False

    def beaten(self, now_ns: int, standing: RoleStanding, cause: str) -> None:
        """Take note of a beat; the first that says "starting" may be the last for long."""
        if self.ending or self.standing == "off":
            return
        if standing != "starting":
            self._deadline_ns = now_ns + self._late_ns
        elif self.standing != "starting":  # it opens anew what it works with
            self._deadline_ns = now_ns + self._start_limit_ns
        self._came_up = self._came_up or standing == "up"
        self._stand(standing, cause, now_ns)

    def ended(self, now_ns: int, status: int, cause: str) -> Action | None:
        """Take note that the process ended; return "start" unless the fault is latched."""
        self._deadline_ns, self.ending = None, False
        self.count += 1
        if status != EXIT_REOPEN:
            self._restarts.append(now_ns)
        while self._came_up and self._restarts and now_ns - self._restarts[0] > RESTARTS_NS:
            self._restarts.popleft()
        if len(self._restarts) >= MAX_RESTARTS:
            self._stand("off", cause, now_ns)
            return None
        self._stand("down", cause, now_ns)
        return "start"

    def excuse(self, slept_ns: int) -> None:
        """Count the time in which the supervisor itself did not run against nobody (F21)."""
        if self._deadline_ns is not None:
            self._deadline_ns += slept_ns

    def due(self, now_ns: int) -> Action | None:
        """Return what to do to a process that gives no sign of life."""
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return None
        self._deadline_ns = now_ns + self._grace_ns
        if self.ending:
            return "kill"
        late = "did not start in time" if self.standing == "starting" else "gave no sign of life"
        self._stand("down", late, now_ns)
        self.ending = True
        return "terminate"

    def reset(self, now_ns: int) -> Action | None:
        """Forget the faults; return "start" if the role was latched."""
        self._restarts.clear()
        if self.standing != "off":
            return None
        self._stand("down", "", now_ns)
        return "start"

    def _stand(self, standing: RoleStanding, cause: str, now_ns: int) -> None:
        if (standing, cause) != (self.standing, self.cause):
            self.since_ns = now_ns
        self.standing, self.cause = standing, cause
