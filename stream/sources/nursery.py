"""Cheap children for many clips: one trusted process that has everything imported forks them.

A Python that imports the decoders costs about 0.2 s of processor time, a fork of one that has
done so a few ms. The process that forks, the zygote, sees no input, only orders for children.
"""

from __future__ import annotations

import logging
import os
import signal
import socket

from stream.closing import Closing
from stream.sources.child import Child, OurPython

_ZYGOTE, _ALONE = "stream.sources.nursery_child", "stream.sources.sandbox_child"
_EXIT_WAIT_S = 5.0
_MAX_PRINTED_BYTES = 1 << 13

_log = logging.getLogger(__name__)


class Nursery(Closing):
    """Gives sources their children; to be used by one thread.

    The zygote starts at once, and nothing waits for it before the first source is opened. One
    that was lost is replaced when the next child is wanted. Sources that are still open when
    the nursery closes lose their children.
    """

    def __init__(self) -> None:
        self._start_zygote()

    def close(self) -> None:
        """End the zygote, and its children with it."""
        self._orders.close()
        self._zygote.close()
        os.close(self._printed)

    def start(self, control: socket.socket, memory_bytes: int, printed: int) -> Child:
        """Order a child; it may still be unborn when this returns.

        Parameters
        ----------
        control : the child's end of the control socket; the caller closes it afterwards
        memory_bytes : address space of the child
        printed : descriptor for what it prints
        """
        leash, theirs = socket.socketpair()
        with theirs:
            fds = [control.fileno(), printed, theirs.fileno()]
            try:
                self._order(memory_bytes, fds)
            except (BrokenPipeError, ConnectionResetError):
                self._replace_zygote()
                self._order(memory_bytes, fds)
        return _Forked(leash, self._zygote)

    def _order(self, memory_bytes: int, fds: list[int]) -> None:
        socket.send_fds(self._orders, [str(memory_bytes).encode()], fds)

    def _start_zygote(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._printed = os.memfd_create("sonostream-printed", os.MFD_CLOEXEC)
        with theirs:
            self._zygote = OurPython(_ZYGOTE, theirs, self._printed)

    def _replace_zygote(self) -> None:
        code = self._zygote.exit_code(_EXIT_WAIT_S)
        printed = os.pread(self._printed, _MAX_PRINTED_BYTES, 0).decode("utf-8", "replace")
        _log.debug("the zygote ended with %s: %s", code, printed)
        self.close()
        self._start_zygote()


class _Forked:
    """A child of the zygote, on a leash: a socket whose closing kills, and that tells the end."""

    def __init__(self, leash: socket.socket, zygote: OurPython) -> None:
        self._leash, self._zygote = leash, zygote
        self._code: int | None = None

    def kill(self) -> None:
        self._leash.shutdown(socket.SHUT_WR)

    def exit_code(self, timeout_s: float) -> int | None:
        if self._code is None:
            self._leash.settimeout(timeout_s)
            try:
                told = self._leash.recv(4)
            except (TimeoutError, BlockingIOError):  # the latter when there is no time to wait
                return None
            # Without a word the zygote has gone, and took the child along.
            self._code = int.from_bytes(told, signed=True) if told else -signal.SIGKILL
        return self._code

    def close(self) -> None:
        self.kill()
        if self.exit_code(_EXIT_WAIT_S) is None:
            self._zygote.kill()  # it does not answer; the kernel ends its children with it
        self._leash.close()


def start_child(
    nursery: Nursery | None, control: socket.socket, memory_bytes: int, printed: int
) -> Child:
    """Order a child from a nursery, or start one from nothing; parameters as for `start`."""
    if nursery is not None:
        return nursery.start(control, memory_bytes, printed)
    return OurPython(_ALONE, control, printed, str(memory_bytes))
