"""What becomes of the connections of one socket, heard from its monitor. Pure."""

from __future__ import annotations

from stream.clock import MS
from stream.live.wire.refusals import Refusals

MEND_NS = 1000 * MS
"""How long a connection that ZeroMQ gave up stays down before it is made anew."""

# Numbers of zmq.h (4.3), part of its binary interface.
CONNECTED, CONNECT_RETRIED, ACCEPTED = 0x0001, 0x0004, 0x0020
DISCONNECTED, HANDSHAKE_SUCCEEDED = 0x0200, 0x1000
FAILURES = {
    0x0800: "handshake not finished",
    0x2000: "handshake failed, wrong or no key",
    0x4000: "key refused",
}
EVENTS = sum((CONNECTED, CONNECT_RETRIED, ACCEPTED, DISCONNECTED, HANDSHAKE_SUCCEEDED, *FAILURES))
"""The events to ask a socket's monitor for."""


class Peers:
    """Counts who was refused, who left, and tells when a connection was given up.

    ZeroMQ connects again after a broken connection, but not to a peer that it cut off for a
    message above the limit or for breaking the protocol, nor to one that refused its key.

    Parameters
    ----------
    refusals : gets "handshake" for peers that never came in, "cut" for those that were cut off

    Attributes
    ----------
    departed : how many left after they had come in, those cut off among them
    """

    def __init__(self, refusals: Refusals) -> None:
        self.departed = 0
        self._refusals = refusals
        self._strangers: list[int] = []
        self._failed = False
        self._was_in = False
        self._lost_ns: int | None = None

    def hear(self, event: int, value: int, now_ns: int) -> None:
        """Note an event.

        Parameters
        ----------
        event, value : from the monitor; the value of some is the connection's descriptor
        now_ns : clock of this machine
        """
        if event in (CONNECTED, ACCEPTED):
            self._strangers.append(value)
            self._lost_ns = None
        elif event == HANDSHAKE_SUCCEEDED:
            del self._strangers[:1]  # whose it was is not said; most likely the oldest
        elif event == CONNECT_RETRIED:
            self._lost_ns = None
        elif event == DISCONNECTED:
            self._end(value, now_ns)
        elif event in FAILURES:
            self._refusals.add("handshake", FAILURES[event])
            self._failed = True  # its connection ends next

    def _end(self, fd: int, now_ns: int) -> None:
        stranger = fd in self._strangers
        if stranger:
            self._strangers.remove(fd)
        if stranger and not self._failed:
            self._refusals.add("handshake", "does not speak ZeroMQ, or left early")
        self._was_in = not stranger and not self._failed
        self.departed += self._was_in
        self._failed, self._lost_ns = False, now_ns

    def given_up(self, now_ns: int) -> bool:
        """Tell, once, that the connection is down and nobody will make it again."""
        if self._lost_ns is None or now_ns - self._lost_ns < MEND_NS:
            return False
        self._lost_ns = None
        if self._was_in:
            self._refusals.add("cut", "cut off for a message above the limit, or no ZeroMQ")
        return True
