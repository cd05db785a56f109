"""The sockets between the live processes: publish and subscribe, push and pull.

What arrives is refused and counted, never raised. A socket belongs to one thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stream.clock import MS, now_ns
from stream.closing import Closing
from stream.live.wire.codec import Buffer, Limits, Message, Received, encode
from stream.live.wire.endpoints import Link
from stream.live.wire.intake import Intake
from stream.live.wire.sockets import Role, Socket, peer_of, wait_for

REFUSALS_AT_ONCE = 256


class _Channel(Closing):
    def __init__(self, link: Link, role: Role, most_bytes: int) -> None:
        self._socket = Socket(link, role, most_bytes)

    @property
    def endpoint(self) -> str:
        """As opened, with the port that the system chose."""
        return self._socket.endpoint

    @property
    def refused(self) -> Counter[str]:
        """Messages and peers refused, by reason."""
        return self._socket.refusals.counts

    @property
    def departed(self) -> int:
        """Peers that left, or were cut off, after they had come in."""
        return self._socket.peers.departed

    def close(self) -> None:
        """Close the socket; may be called twice."""
        self._socket.close()


class Publisher(_Channel):
    """Gives each message to every subscriber; waits for none, and drops what one misses."""

    def __init__(self, link: Link) -> None:
        super().__init__(link, "publish", 0)

    def publish(self, message: Message, payload: Sequence[Buffer] = ()) -> None:
        """Send a message; see `stream.live.wire.codec.encode`."""
        self._socket.send(encode(message, payload))


class Pusher(_Channel):
    """Gives messages to one puller, which may start later."""

    def __init__(self, link: Link) -> None:
        super().__init__(link, "push", 0)

    def push(self, message: Message, payload: Sequence[Buffer] = ()) -> bool:
        """Send a message without waiting; False when the queue is full and it was dropped."""
        return self._socket.send(encode(message, payload))


class _Receiver(_Channel):
    def __init__(self, link: Link, role: Role, limits: Limits, session: str | None) -> None:
        super().__init__(link, role, limits.message_bytes)
        self._intake = Intake(limits, session, self._socket.refusals)

    @property
    def session(self) -> str | None:
        """The session that is followed; None until the first message where none was given."""
        return self._intake.admission.session

    def receive(self, timeout_ms: int) -> Received | None:
        """Return the next good message, or None when none came in time.

        Parameters
        ----------
        timeout_ms : 0 takes only what is there
        """
        until_ns = now_ns() + timeout_ms * MS
        for _ in range(REFUSALS_AT_ONCE):
            left_ms = max(0, -(-(until_ns - now_ns()) // MS))
            if not wait_for((self._socket,), left_ms):
                break
            part = self._socket.take()
            if part is None:  # an empty part is false, and still has to be counted
                continue
            received = self._intake.take(part.buffer, peer_of(part))
            if received is not None:
                return received
        return None


class Subscriber(_Receiver):
    """Gets what a publisher sends.

    Parameters
    ----------
    link : with `newest`, only the newest message waits: what was not taken in time is gone
    limits : kinds and sizes that may come
    session : the session it belongs to; None follows that of the first message
    """

    def __init__(self, link: Link, limits: Limits, session: str | None = None) -> None:
        super().__init__(link, "subscribe", limits, session)


class Puller(_Receiver):
    """Gets what pushers send; see `Subscriber`."""

    def __init__(self, link: Link, limits: Limits, session: str | None = None) -> None:
        super().__init__(link, "pull", limits, session)


class Poller:
    """Waits for several receivers at once."""

    def __init__(self, *receivers: _Receiver) -> None:
        self._receivers = receivers

    def wait(self, timeout_ms: int) -> list[_Receiver]:
        """Return those that have a message, good or not; none when the time is over."""
        found = wait_for([receiver._socket for receiver in self._receivers], timeout_ms)
        return [receiver for receiver in self._receivers if receiver._socket in found]
