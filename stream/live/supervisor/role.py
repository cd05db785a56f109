"""What every live process has: its configuration, a line to the supervisor, and a wish to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from types import FrameType

from stream.clock import MS, now_ns
from stream.closing import Closing
from stream.live.supervisor.config import LiveConfig
from stream.live.wire.codec import Buffer, Message
from stream.live.wire.links import push_posts
from stream.live.wire.messages import Beat, Note, Role, RoleStanding

BEAT_NS = 100 * MS
MAX_TEXT = 300


class Stop:
    """Set by a signal: the loop shall end when it comes round.

    Attributes
    ----------
    wanted : a signal came
    status : what the shell expects of a process that it ended, 0 before
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self.wanted, self.status = False, 0
        for number in numbers or (signal.SIGTERM,):
            signal.signal(number, self._want)

    def _want(self, number: int, frame: FrameType | None) -> None:
        self.wanted, self.status = True, 128 + number


class Post(Closing):
    """The line to the supervisor; without one, where roles run apart, it says nothing.

    Parameters
    ----------
    config : of the session
    role : of this process
    """

    def __init__(self, config: LiveConfig, role: Role) -> None:
        self._config, self._role = config, role
        self._pusher = push_posts(config) if config.endpoints.posts else None
        self._beaten_ns = 0
        self._said: tuple[str, str] = ("", "")

    def close(self) -> None:
        """Close the line."""
        if self._pusher:
            self._pusher.close()

    def send(self, message: Message, payload: Sequence[Buffer] = ()) -> None:
        """Send a message; it is lost when the supervisor does not listen."""
        if self._pusher:
            self._pusher.push(message, payload)

    def note(self, kind: str, text: str, epoch: int = 0, seq: int = 0) -> None:
        """Report something for the journal."""
        session, text = self._config.session, text[:MAX_TEXT]
        role = self._role
        self.send(Note(session=session, role=role, kind=kind, text=text, epoch=epoch, seq=seq))

    def beat(
        self,
        standing: RoleStanding,
        cause: str = "",
        counters: Mapping[str, int] | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Say that the main loop runs: ten times a second, and at each change of standing."""
        now = now_ns()
        if now - self._beaten_ns < BEAT_NS and (standing, cause) == self._said:
            return
        self._beaten_ns, self._said = now, (standing, cause)
        self.send(
            Beat(
                session=self._config.session,
                role=self._role,
                pid=os.getpid(),
                standing=standing,
                cause=cause[:MAX_TEXT],
                counters=dict(counters or {}),
                facts={key: value[:MAX_TEXT] for key, value in (facts or {}).items()},
            )
        )
