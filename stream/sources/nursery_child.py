"""The process from which sandboxed readers are forked: ``python -m stream.sources.nursery_child``.

It sees no input, runs a single thread, and dies with its parent; its children die with it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stream.sources import (
    sandbox_serve,
    video,  # noqa: F401 - what most children will read
)
from stream.sources.base import Reader
from stream.sources.sandbox_child import confine, die_with_parent
from stream.sources.sandbox_wire import Request

_PR_SET_PDEATHSIG = 1
_MAX_ORDER_BYTES = 64
_CONTROL = 3  # the child's only descriptor beside the standard ones


class Birth(NamedTuple):
    """What a child is born with: descriptors and the limit of its address space."""

    control: int
    printed: int
    leash: int
    memory_bytes: int


def main(
    arguments: list[str], open_reader: Callable[[Request], Reader] = sandbox_serve.open_reader
) -> None:
    """Fork children until the parent goes; in each child, read one input for the parent.

    Parameters
    ----------
    arguments : number of the socket from which orders come
    open_reader : how children open a request
    """
    die_with_parent()
    zygote = os.getpid()
    gc.freeze()  # or each child's first search for garbage would copy every page of objects
    with socket.socket(fileno=int(arguments[0])) as orders:
        birth = Zygote(orders).run()
    if birth is None:
        return
    _leave_home(birth, zygote)
    confine(birth.memory_bytes)
    sandbox_serve.serve(socket.socket(fileno=_CONTROL), open_reader)


class Zygote:
    """Forks, kills and buries; it alone knows its children's process numbers.

    Parameters
    ----------
    orders : on which the parent orders children
    """

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._poll = select.poll()
        self._poll.register(orders, select.POLLIN)
        self._leashes: dict[int, int] = {}  # leash to process number
        self._ends: dict[int, tuple[int, int]] = {}  # pidfd to process number and leash

    def run(self) -> Birth | None:
        """Serve the parent; return in a new child, or None when the parent has gone."""
        while True:
            ready, _ = self._poll.poll()[0]  # one a time: what it closes may be numbered anew
            if ready in self._ends:
                self._bury(ready)
            elif ready in self._leashes:
                self._poll.unregister(ready)
                os.kill(self._leashes.pop(ready), signal.SIGKILL)
            else:
                data, fds, _, _ = socket.recv_fds(self._orders, _MAX_ORDER_BYTES, 3)
                if not data:
                    return None
                control, printed, leash = fds
                birth = Birth(control, printed, leash, int(data))
                if not self._fork(birth):
                    return birth

    def _fork(self, birth: Birth) -> int:
        number = os.fork()
        if number:
            end = os.pidfd_open(number)
            self._ends[end] = number, birth.leash
            self._leashes[birth.leash] = number
            self._poll.register(end, select.POLLIN)
            self._poll.register(birth.leash, select.POLLIN)
            os.close(birth.control)
            os.close(birth.printed)
        return number

    def _bury(self, end: int) -> None:
        number, leash = self._ends.pop(end)
        code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        if self._leashes.pop(leash, None):
            self._poll.unregister(leash)
        self._poll.unregister(end)
        os.close(end)
        with socket.socket(fileno=leash) as told:
            try:
                told.send(code.to_bytes(4, signed=True))
            except BrokenPipeError:
                return  # its source was dropped without being closed


def _leave_home(birth: Birth, zygote: int) -> None:
    """Bind this child's life to the zygote's, and forget all that is not the child's own."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != zygote:
        sys.exit(0)
    os.dup2(1, 0)
    os.dup2(birth.printed, 2)
    os.dup2(birth.control, _CONTROL)
    os.closerange(_CONTROL + 1, max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 1)


if __name__ == "__main__":
    main(sys.argv[1:])
