"""The process in which one untrusted file is decoded: ``python -m stream.sources.sandbox_child``.

It holds no secrets, writes no files, opens no sockets, and dies with its parent.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from stream.sources.sandbox_limits import forbid_reaching_out

if TYPE_CHECKING:  # both import decoders' libraries
    from stream.sources.base import Reader
    from stream.sources.sandbox_wire import Request

_MAX_WRITTEN_BYTES = 1 << 16


def main(arguments: list[str], open_reader: Callable[[Request], Reader] | None = None) -> None:
    """Confine this process, then read one input for the parent.

    Parameters
    ----------
    arguments : number of the control socket, limit of the address space in bytes
    open_reader : how to open a request; the readers of this package when None
    """
    control = socket.socket(fileno=int(arguments[0]))
    die_with_parent()
    confine(int(arguments[1]))
    from stream.sources import sandbox_serve  # heavy imports only inside the limits

    sandbox_serve.serve(control, open_reader or sandbox_serve.open_reader)


def die_with_parent() -> None:
    """Let the kernel end this process when the parent's end of standard input closes.

    Unlike the parent-death signal this does not depend on the thread that started the child.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        sys.exit(0)  # the parent has gone already


def confine(memory_bytes: int) -> None:
    """Take from this process what no reader needs: memory beyond a limit, files, sockets."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_WRITTEN_BYTES, _MAX_WRITTEN_BYTES))
    forbid_reaching_out()


if __name__ == "__main__":
    main(sys.argv[1:])
