"""Starts the roles of a live session, watches their heartbeats, replaces them, ends them."""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from stream.clock import MS, now_ns
from stream.closing import Closing
from stream.live.supervisor.config import LiveConfig
from stream.live.supervisor.keeper import Keeper
from stream.live.supervisor.process import MODULE, RoleProcess, as_instance
from stream.live.supervisor.wake import Wake
from stream.live.wire.codec import Message
from stream.live.wire.links import collect_posts, publish_news
from stream.live.wire.messages import Beat, EpochNote, Note, Order, Role, RoleStatus, Status

STATUS_NS = 100 * MS
TICK_MS = 20
PATIENCE_NS: Mapping[Role, tuple[int, ...]] = {
    "capture": (20_000 * MS,),
    "worker": (180_000 * MS,),  # the first compilation of a large model takes minutes
    "viewer": (20_000 * MS, 600 * MS, 300 * MS),  # a hung window is back within 2 s (F22)
    "recorder": (20_000 * MS, 8000 * MS),  # a disk may stall for 5 s (F29)
}
"""What `Keeper` takes."""
# Ended in this order, so that the recorder hears all the others said (F31: 5 s in all).
STOP_ORDER: Sequence[tuple[Role, float]] = (
    ("viewer", 0.5),
    ("capture", 1.0),
    ("worker", 1.0),
    ("recorder", 2.0),
)
FATAL = frozenset({2, 3, 5, 6})
"""Statuses of a role that never came up which end the session: usage, source, model, memory."""
MOST_EPOCHS = MOST_NOTES = 256
LAST_WORDS_NS = 10 * MS

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session ended.

    Parameters
    ----------
    status : for the command line
    cause : in words
    trouble : what was wrong with which role at the end, empty when all were up
    """

    status: int
    cause: str
    trouble: str = ""


class Supervisor(Closing):
    """Owns the processes of one session and the hub between them; used by the main thread.

    Parameters
    ----------
    config : of the session, its endpoints and ring made
    roles : which to run
    log : descriptor for what the roles print
    module : Python module that runs a role
    """

    def __init__(
        self, config: LiveConfig, roles: Sequence[Role], log: int, module: str = MODULE
    ) -> None:
        self._config, self._log, self._module = config, log, module
        self._keepers = {role: Keeper(*PATIENCE_NS[role]) for role in roles}
        self._processes: dict[Role, RoleProcess] = {}
        self._beats: dict[Role, Beat] = {}
        self._was_up: set[Role] = set()
        self._epochs: deque[EpochNote] = deque(maxlen=MOST_EPOCHS)
        self._withdrawals: list[Order] = []
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._status_number = self._status_ns = 0
        self._ending: Ending | None = None
        self._posts = collect_posts(config)
        self._news = publish_news(config)

    def run(self, stopping: Callable[[], Ending | None]) -> Ending:
        """Run the session until `stopping` gives an end, or the user or the source ends it."""
        for role in self._keepers:
            if not stopping():
                self._start(role)
        wake = Wake()
        while (ending := self._ending or stopping()) is None:
            self._hear(TICK_MS)
            self._excuse(wake.slept_ns())
            self._watch()
            self._tell(force=False)
        trouble = self._trouble()
        self._stop()
        return replace(ending, trouble=trouble)

    def close(self) -> None:
        """End every process at once."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()
        self._posts.close()
        self._news.close()

    def _start(self, role: Role) -> None:
        keeper = self._keepers[role]
        config = as_instance(self._config, keeper.count)
        self._processes[role] = RoleProcess(role, config, self._log, self._module)
        keeper.started(now_ns())
        self._tell(force=True)

    def _hear(self, timeout_ms: int) -> None:
        """Take what the roles say, and pass on what is for others."""
        received = self._posts.receive(timeout_ms)
        while received is not None:
            message = received.message
            if isinstance(message, Beat):
                self._beat(message)
            elif isinstance(message, Order):
                self._obey(message)
                self._news.publish(message)
            elif isinstance(message, Note):
                self._pass_on(message)
            else:
                if isinstance(message, EpochNote):
                    self._epochs.append(message)
                self._news.publish(message, [received.payload])
            received = self._posts.receive(0)

    def _beat(self, beat: Beat) -> None:
        process = self._processes.get(beat.role)
        if process is None or process.pid != beat.pid:
            return  # the last words of one that was replaced
        keeper = self._keepers[beat.role]
        before = keeper.standing
        keeper.beaten(now_ns(), beat.standing, beat.cause)
        if beat.standing == "up":
            self._was_up.add(beat.role)
        else:  # what the one before said of itself still holds, such as that it was withdrawn
            facts = self._beats[beat.role].facts if beat.role in self._beats else {}
            beat = msgspec.structs.replace(beat, facts={**facts, **beat.facts})
        self._beats[beat.role] = beat
        if beat.role == "recorder" and (before, beat.standing) == ("starting", "up"):
            missed: list[Message] = [*self._epochs, *self._withdrawals, *self._notes]
            self._notes.clear()
            for message in missed:  # it was not there when they came
                self._news.publish(message)
        if keeper.standing != before:
            self._tell(force=True)

    def _obey(self, order: Order) -> None:
        if order.name == "quit":
            self._ending = Ending(0, order.text or "ended by the user")
        if order.name == "withdraw":
            self._withdrawals.append(order)
        if order.name == "reset":
            for role, keeper in self._keepers.items():
                if keeper.reset(now_ns()):
                    self._start(role)

    def _excuse(self, slept_ns: int) -> None:
        for keeper in self._keepers.values():
            keeper.excuse(slept_ns)

    def _watch(self) -> None:
        now = now_ns()
        for role, keeper in self._keepers.items():
            process = self._processes.get(role)
            if process is None:
                continue
            status = process.status()
            if status is not None:
                self._replace(role, status)
                continue
            action = keeper.due(now)
            if action == "terminate":
                _log.warning("%s: %s; ending it", role, keeper.cause)
                process.terminate(dump=True)
                self._tell(force=True)
            elif action == "kill":
                process.kill()

    def _hear_out(self) -> None:
        """Take the last words of a process that ended: they may still be on their way."""
        until_ns = now_ns() + LAST_WORDS_NS
        while now_ns() < until_ns:
            self._hear(1)

    def _replace(self, role: Role, status: int) -> None:
        """Bury a process that ended; start another unless that ends the session."""
        self._hear_out()
        self._processes.pop(role).close()
        beat = self._beats.get(role)
        told = beat.cause if beat is not None and beat.standing == "down" else ""
        cause = told or self._keepers[role].cause or _words(status)
        unasked = not self._keepers[role].ending  # one that was late ends so too when asked to
        if role == "capture" and status == 0 and unasked:
            self._ending = Ending(0, "the recording is over")
        elif role == "viewer" and status == 0 and unasked:
            self._ending = Ending(0, "ended by the user")
        elif status in FATAL and role not in self._was_up and role != "recorder":
            self._ending = Ending(status, cause)
        if self._ending:
            return
        again = self._keepers[role].ended(now_ns(), status, cause)
        _log.warning("%s ended (%s)", role, cause)
        self._note(role, "restart" if again else "latched", cause)
        self._tell(force=True)
        if again:
            self._start(role)

    def _note(self, role: Role, kind: str, text: str) -> None:
        session = self._config.session
        self._pass_on(Note(session=session, role=role, kind=kind, text=text, epoch=0, seq=0))

    def _pass_on(self, note: Note) -> None:
        """Give a note to the recorder, or keep it for one that starts.

        A confirmation is of what was recorded when it was said, and worth nothing later.
        """
        recorder = self._keepers.get("recorder")
        if recorder is None or recorder.standing == "up" or note.kind == "confirmed":
            self._news.publish(note)
        else:
            self._notes.append(note)

    def _tell(self, *, force: bool) -> None:
        now = now_ns()
        if not force and now - self._status_ns < STATUS_NS:
            return
        self._status_ns = now
        self._status_number += 1
        roles = {role: self._role_status(role) for role in self._keepers}
        session, number = self._config.session, self._status_number
        self._news.publish(Status(session=session, number=number, sent_ns=now, roles=roles))

    def _role_status(self, role: Role) -> RoleStatus:
        keeper, beat, process = (
            self._keepers[role],
            self._beats.get(role),
            self._processes.get(role),
        )
        return RoleStatus(
            standing=keeper.standing,
            cause=keeper.cause[:300],
            since_ns=keeper.since_ns,
            restarts=keeper.count,
            pid=process.pid if process else 0,
            counters=beat.counters if beat else {},
            facts=beat.facts if beat else {},
        )

    def _trouble(self) -> str:
        kept = self._keepers.items()
        return "; ".join(f"{role}: {k.cause}" for role, k in kept if k.standing != "up" and k.cause)

    def _stop(self) -> None:
        """End the roles in order; what does not end in time is killed."""
        for role, patience_s in STOP_ORDER:
            process = self._processes.pop(role, None)
            if process is None:
                continue
            process.terminate()
            deadline_ns = now_ns() + round(patience_s * 1e9)
            while process.status() is None and now_ns() < deadline_ns:
                self._hear(5)
            self._hear_out()
            process.close()


def _words(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
