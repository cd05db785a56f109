"""A source whose reader runs in a child process that can neither hurt nor hang its parent."""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.closing import Closing
from stream.errors import SourceError, StreamError
from stream.frame import Frame, FrameId
from stream.sources.base import Problem, SourceInfo
from stream.sources.nursery import Nursery, start_child
from stream.sources.regular import shown_name
from stream.sources.ring import Ring
from stream.sources.sandbox_wire import (
    MAX_MESSAGE_BYTES,
    Ended,
    FromChild,
    Opened,
    Refused,
    Request,
    RingGiven,
    RingWanted,
    Shown,
)

_RING_BYTES = 256 << 20
_MIN_SLOTS = 4
_EXIT_WAIT_S = 2.0
_MAX_PRINTED_BYTES = 1 << 13

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sandboxed reader may use.

    Parameters
    ----------
    memory_bytes : address space of the child
    stall_s : longest wait for a sign of progress
    slots : pictures in shared memory, 4 to 255; fewer when pictures are large
    threads : decoder threads
    """

    memory_bytes: int = 2 << 30
    stall_s: float = 20.0
    slots: int = 12
    threads: int = 1

    def __post_init__(self) -> None:
        if not _MIN_SLOTS <= self.slots <= 255:
            raise ValueError(f"slots {self.slots}: expected {_MIN_SLOTS} to 255")


class _Shown(NamedTuple):
    """A picture's message, the picture, and its model input if one was prepared."""

    message: Shown
    pixels: Pixels
    model_input: NDArray[np.uint8] | None


class SandboxedSource(Closing):
    """The frames of one input, decoded in a child; see `stream.sources.base.Source`.

    The child begins at once; `open` waits for it.

    The pixels of a frame lie in shared memory as long as anybody keeps the frame or a view of
    its planes, and never change; see `stream.sources.ring`. `seq` counts from 0 over the whole
    input; `epoch` grows when the size or the layout of the pictures changes.

    Parameters
    ----------
    request : what to open
    session : first part of every frame's identity
    limits : what the child may use
    nursery : where the child comes from; it is started from nothing when None
    """

    def __init__(
        self, request: Request, session: str, limits: Limits, nursery: Nursery | None = None
    ) -> None:
        self._session, self._limits = session, limits
        self._preparation = request.preparation
        self._name = shown_name(os.fsdecode(request.uri))
        self._problems: tuple[Problem, ...] = ()
        self._decoder: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
        self._printed = os.memfd_create("sonostream-printed", os.MFD_CLOEXEC)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with theirs:
            self._child = start_child(nursery, theirs, limits.memory_bytes, self._printed)
        self._poll = select.poll()
        self._poll.register(self._control, select.POLLIN)
        self._ring: Ring | None = None
        self._done = self._closed = False
        try:
            self._send(msgspec.msgpack.encode(request), [])
        except BaseException:
            self.close()
            raise

    def open(self) -> Self:
        """Wait until the child has opened the input; closes it when that fails.

        Raises
        ------
        SourceError
            If the input cannot be used, or the child crashes or stalls over it.
        UsageError
            If a choice is needed, such as that of a stream.
        """
        try:
            self._info = self._open()
        except BaseException:
            self.close()
            raise
        return self

    def ended(self) -> bool:
        """Return whether the child has ended; what it said may still be unread."""
        return self._child.exit_code(0) is not None

    @property
    def info(self) -> SourceInfo:
        """Facts known before the first frame."""
        return self._info

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems met so far; complete after the last frame."""
        return self._problems

    def close(self) -> None:
        """End the child; may be called twice. Frames already taken stay valid."""
        if self._closed:
            return
        self._closed = self._done = True
        self._ring = None
        self._control.close()
        os.close(self._printed)
        self._child.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame, once.

        Raises
        ------
        SourceError
            If there is not one frame. When the child is lost later, `problems` tells.
        """
        count, epoch, layout = 0, 0, None
        while (shown := self._next_picture(count)) is not None:
            if layout != shown.message.shapes:
                epoch, layout = epoch + (layout is not None), shown.message.shapes
            count += 1
            yield self._frame(shown, FrameId(self._session, epoch, count - 1))
            del shown  # or its slot would stay taken while the next one is awaited

    def _open(self) -> SourceInfo:
        message = self._receive()
        if not isinstance(message, Opened):
            raise self._lost("the decoder spoke out of turn", "F10")
        self._problems = message.problems
        width, height = message.info.size_wh
        prepared = math.prod(self._preparation.shape) if self._preparation else 0
        self._give_ring(max(1, width * height * 3) + prepared)
        return message.info

    def _next_picture(self, count: int) -> _Shown | None:
        """Return the next picture; None after the last or when the child is lost."""
        if self._done:
            return None
        try:
            message = self._wait_picture()
            if isinstance(message, Shown):
                return self._take(message)
        except StreamError as error:
            self._done = True
            if count == 0:
                raise
            self._problems += (Problem(error.fault, f"{error.problem} after {count} frames", True),)
            return None
        self._done, self._problems = True, message.problems
        self._child.kill()  # so that it is gone by the time of `close`
        return None

    def _wait_picture(self) -> Shown | Ended:
        assert self._ring is not None
        for _ in range(2):  # a picture may be preceded by one wish for a larger ring
            if self._ring.waiting * 2 >= self._ring.slots:
                self._give_back()
            message = self._receive()
            if isinstance(message, Shown | Ended):
                return message
            if isinstance(message, RingWanted):
                self._give_ring(message.slot_bytes)
        raise self._lost("the decoder spoke out of turn", "F10")

    def _take(self, message: Shown) -> _Shown:
        assert self._ring is not None
        try:
            if not message.prepared:
                planes = self._ring.take(message.slot, message.shapes)
                return _Shown(message, Pixels(planes, message.matrix, message.full_range), None)
            if self._preparation is None:
                raise ValueError("a model input that nobody asked for")
            shapes = (*message.shapes, self._preparation.shape)
            *parts, small = self._ring.take(message.slot, shapes)
            pixels = Pixels(tuple(parts), message.matrix, message.full_range)
            return _Shown(message, pixels, small)
        except ValueError as error:
            raise self._lost(f"the decoder spoke nonsense ({error})", "F10") from error

    def _frame(self, shown: _Shown, identity: FrameId) -> Frame:
        message, now_ns = shown.message, time.monotonic_ns()
        facts = (now_ns, message.pts_ns, self._info.name, message.damage)
        return Frame(identity, shown.pixels, *facts, shown.model_input)

    def _give_ring(self, slot_bytes: int) -> None:
        slots = min(self._limits.slots, _RING_BYTES // slot_bytes)
        if slots < _MIN_SLOTS:
            raise self._lost(f"a picture of {slot_bytes} bytes is too large", "V14")
        self._ring = Ring(slot_bytes, slots)
        try:
            self._send(msgspec.msgpack.encode(RingGiven(slot_bytes, slots)), [self._ring.fd])
        finally:
            self._ring.close_fd()

    def _give_back(self) -> None:
        """Return free slots, in batches, for each may wake the child."""
        if self._ring is not None and self._ring.waiting:
            self._send(self._ring.freed(), [])

    def _send(self, data: bytes, fds: list[int]) -> None:
        try:
            if data:
                socket.send_fds(self._control, [data], fds)
        except (BrokenPipeError, ConnectionResetError):
            _log.debug("the child has gone; its last messages follow")
        except BlockingIOError as error:
            raise self._lost("the decoder does not listen", "F10") from error

    def _receive(self) -> FromChild:
        """Return the child's next message; raise what it refused, or that it is lost."""
        try:
            data = self._receive_bytes()
        except BlockingIOError:
            data = self._wait_bytes()
        if not data:
            raise self._lost(self._death(), "F10")
        try:
            message = self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise self._lost("the decoder spoke nonsense", "F10") from error
        if isinstance(message, Refused):
            raise message.error()
        return message

    def _wait_bytes(self) -> bytes:
        self._give_back()  # the child may be out of slots
        if not self._poll.poll(self._limits.stall_s * 1000):
            self._child.kill()
            raise self._lost(f"no progress in {self._limits.stall_s:g} s", "F11")
        return self._receive_bytes()

    def _receive_bytes(self) -> bytes:
        try:
            return self._control.recv(MAX_MESSAGE_BYTES)
        except ConnectionResetError:  # it died with messages unread; its own are still there
            return self._control.recv(MAX_MESSAGE_BYTES)

    def _death(self) -> str:
        """Say how the child ended; what it printed goes to the debug log."""
        code = self._child.exit_code(_EXIT_WAIT_S)
        if code is None:
            return "the decoder closed its channel"
        printed = os.pread(self._printed, _MAX_PRINTED_BYTES, 0).decode("utf-8", "replace")
        _log.debug("the child ended with %d: %s", code, printed)
        if code < 0:
            return f"the decoder was ended by {signal.Signals(-code).name}"
        return f"the decoder ended with status {code}"

    def _lost(self, problem: str, fault: str) -> SourceError:
        return SourceError(self._name, problem, "see --debug; the file may be hostile", fault=fault)
