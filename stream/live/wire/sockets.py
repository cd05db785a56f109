"""A ZeroMQ socket with limits against whoever is at the other end; the only user of zmq.

`stream.live.wire.channels` has the sockets that the processes use.
"""

from __future__ import annotations

import errno
import os
import struct
import uuid
from collections.abc import Iterable
from contextlib import suppress
from threading import Thread
from typing import Literal

import zmq
from zmq.utils import z85

from stream.clock import MS, now_ns
from stream.closing import Closing
from stream.errors import UsageError, WireError
from stream.live.wire.endpoints import Link, check_endpoint, claim, is_tcp
from stream.live.wire.keys import Keys, answer_zap
from stream.live.wire.peers import EVENTS, Peers
from stream.live.wire.refusals import Refusals

Part = zmq.Frame
Role = Literal["publish", "subscribe", "push", "pull"]
SPARE_BYTES = 1024
"""For what ZeroMQ and encryption add; also the most that a publisher takes from a subscriber."""
COPIED_BYTES = 1 << 16
"""Longer messages are handed to ZeroMQ without another copy."""
HANDSHAKE_MS, HEARTBEAT_MS, SILENCE_MS, RECONNECT_MS, CONNECT_MS = 2000, 1000, 3000, 50, 2000
_KINDS = {"publish": zmq.PUB, "subscribe": zmq.SUB, "push": zmq.PUSH, "pull": zmq.PULL}


class Socket(Closing):
    """A socket of one thread; publishers and pullers bind, the others connect.

    Parameters
    ----------
    link : where to
    role : what it does
    most_bytes : largest message that it takes; who sends a larger one is cut off

    Attributes
    ----------
    endpoint : as opened, with the port that the system chose
    refusals : what was refused so far
    peers : what became of its connections

    Raises
    ------
    UsageError
        If the endpoint is not allowed, or keys are missing.
    WireError
        If the endpoint cannot be opened.
    """

    def __init__(self, link: Link, role: Role, most_bytes: int) -> None:
        check_endpoint(link.endpoint, keys=link.keys is not None)
        self.endpoint = link.endpoint
        self.refusals = Refusals(link.endpoint)
        self.peers = Peers(self.refusals)
        self._link, self._kind = link, _KINDS[role]
        self._binds = role in ("publish", "pull")
        self._most_bytes = most_bytes + SPARE_BYTES
        self._open()

    def send(self, data: bytes | memoryview) -> bool:
        """Send one part without waiting; False when the queue is full."""
        self.tend()
        try:
            self._socket.send(data, zmq.NOBLOCK, copy=len(data) < COPIED_BYTES, track=False)
        except zmq.Again:
            return False
        return True

    def take(self) -> Part | None:
        """Return the one part of the next message; None when there is none or it has several."""
        try:
            part = self._socket.recv(zmq.NOBLOCK, copy=False, track=False)
        except zmq.Again:
            return None
        if not part.more:
            return part
        self.refusals.add("parts", "message of several parts", peer_of(part))
        if self._link.newest:
            # A conflating socket loses parts, and ZeroMQ ends the process that asks for them.
            self.close()
            self._open()
            return None
        while part.more:
            part = self._socket.recv(copy=False, track=False)
        return None

    def tend(self) -> None:
        """Hear the monitor, and make a connection anew that ZeroMQ gave up."""
        if self._gate is None:
            self._hear()
        if not self._binds and self.peers.given_up(now_ns()):
            with suppress(zmq.ZMQError):  # ZeroMQ may have forgotten the endpoint
                self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)

    def close(self) -> None:
        """Close the socket; may be called twice."""
        if self._socket.closed:
            return
        # In this order: a monitor without a reader stops the thread that moves all messages.
        self._socket.disable_monitor()
        if self._gate is None:
            self._monitor.close()
        self._socket.close()
        if self._gate is not None:
            self._context.term()
            self._gate.join()
        elif self._context is not zmq.Context.instance():
            self._context.destroy(0)
        if self._claim is not None:
            os.close(self._claim)

    def _open(self) -> None:
        """Open the socket.

        A server has a context of its own: ZeroMQ asks one gate per context whom to let in.
        """
        self._gate: Thread | None = None
        self._claim: int | None = None
        keys = self._link.keys if is_tcp(self._link.endpoint) else None
        serves = keys is not None and self._binds
        try:
            self._context = zmq.Context() if serves else zmq.Context.instance()
            self._socket = self._context.socket(self._kind)
        except zmq.ZMQError as error:
            raise _unusable(self._link.endpoint, error) from error
        try:
            self._monitor = _watch(self._context, self._socket)
            _limit(self._socket, self._link, self._most_bytes)
            if keys is not None and serves:
                self._gate = self._serve(keys)
            elif keys is not None:
                _show_key(self._socket, keys, self.endpoint)
            self._join()
        except zmq.ZMQError as error:
            self._abandon()
            raise _unusable(self._link.endpoint, error) from error
        except (UsageError, WireError):
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Close what an opening that failed left."""
        if self._gate is not None or hasattr(self, "_monitor"):
            self.close()
        else:
            self._socket.close()

    def _join(self) -> None:
        if self._binds:
            self._claim = claim(self.endpoint)
            self._socket.bind(self.endpoint)
            self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        else:
            self._socket.connect(self.endpoint)

    def _serve(self, keys: Keys) -> Thread:
        """Let in only listed clients; return the thread that answers for them."""
        if keys.server_secret is None or not keys.allowed:
            raise UsageError(self.endpoint, "no server.secret or no clients/*.public to serve with")
        self._socket.curve_server = True
        self._socket.curve_secretkey = keys.server_secret
        self._socket.zap_domain = b"sonostream"
        self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without an answer nobody comes in
        door = self._context.socket(zmq.REP)
        door.linger = 0
        door.bind("inproc://zeromq.zap.01")
        gate = Thread(target=self._keep_gate, args=(door, keys.allowed), daemon=True)
        gate.start()
        return gate

    def _keep_gate(self, door: zmq.Socket[bytes], allowed: frozenset[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(door, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        with door, self._monitor, suppress(zmq.ContextTerminated):
            while True:
                if door in dict(poller.poll()):
                    door.send_multipart(answer_zap(door.recv_multipart(), allowed))
                self._hear()

    def _hear(self) -> None:
        """Take what the monitor has to say."""
        with suppress(zmq.Again):
            while True:
                head, _ = self._monitor.recv_multipart(zmq.NOBLOCK)
                event, value = struct.unpack("=Hi", head)
                self.peers.hear(event, value, now_ns())

    def register(self, poller: zmq.Poller) -> zmq.Socket[bytes]:
        """Let a poller wait for messages, and for the monitor; return what waits for messages."""
        poller.register(self._socket, zmq.POLLIN)
        if self._gate is None:
            poller.register(self._monitor, zmq.POLLIN)
        return self._socket


def wait_for(sockets: Iterable[Socket], timeout_ms: int) -> list[Socket]:
    """Return the sockets that have a message; none when the time is over."""
    until_ns = now_ns() + timeout_ms * MS
    while True:
        poller = zmq.Poller()
        waiting = [(socket, socket.register(poller)) for socket in sockets]
        left_ms = max(0, -(-(until_ns - now_ns()) // MS))
        events = dict(poller.poll(left_ms))
        for socket, _ in waiting:
            socket.tend()
        ready = [socket for socket, raw in waiting if raw in events]
        if ready or now_ns() >= until_ns:
            return ready


def peer_of(part: Part) -> str:
    """Return the address of a part's sender, empty where the transport has none."""
    try:
        return str(part.get("Peer-Address"))
    except zmq.ZMQError:
        return ""


def public_key(secret: bytes) -> bytes:
    """Return the public part of a secret key, 32 bytes each."""
    return bytes(z85.decode(zmq.curve_public(z85.encode(secret))))


def _watch(context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    """Return what a socket's monitor can be heard from."""
    monitor = context.socket(zmq.PAIR)
    monitor.linger = monitor.rcvhwm = 0  # without end: a full one would stop all messages
    place = f"inproc://{uuid.uuid4().hex}"
    socket.monitor(place, EVENTS)
    monitor.connect(place)
    return monitor


def _limit(socket: zmq.Socket[bytes], link: Link, most_bytes: int) -> None:
    socket.linger = link.linger_ms
    socket.sndhwm = socket.rcvhwm = link.queue
    socket.maxmsgsize = most_bytes
    socket.handshake_ivl = HANDSHAKE_MS
    if link.newest:
        socket.conflate = True
    if socket.type == zmq.SUB:
        socket.subscribe(b"")
    if socket.type in (zmq.SUB, zmq.PUSH):
        socket.reconnect_ivl = RECONNECT_MS
    if is_tcp(link.endpoint):  # the other end of a local socket cannot vanish without a word
        socket.connect_timeout = CONNECT_MS
        socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, SILENCE_MS
        socket.heartbeat_ttl = SILENCE_MS


def _show_key(socket: zmq.Socket[bytes], keys: Keys, endpoint: str) -> None:
    """Expect the server's key and show ours."""
    if keys.server_public is None or keys.client_secret is None:
        raise UsageError(endpoint, "no server.public or no client.secret to connect with")
    socket.curve_serverkey = keys.server_public
    socket.curve_secretkey = keys.client_secret
    socket.curve_publickey = public_key(keys.client_secret)


def _unusable(endpoint: str, error: zmq.ZMQError) -> WireError:
    if error.errno == errno.EMFILE:
        return WireError(
            endpoint, "no descriptors left", "raise the limit with `ulimit -n`", fault="F35"
        )
    return WireError(endpoint, str(error))
