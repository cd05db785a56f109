"""The process behind a sandboxed source, and how one is started from nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol

_ROOT = Path(__file__).parents[2]
_SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Child(Protocol):
    """A process that decodes one input, as its parent holds it."""

    def kill(self) -> None:
        """End it, whatever it does; may be called twice."""
        ...

    def exit_code(self, timeout_s: float) -> int | None:
        """Wait for its end; return its status, a signal as a negative number, or None in time."""
        ...

    def close(self) -> None:
        """End it, see it gone, and release what was held for it."""
        ...


class OurPython(subprocess.Popen[bytes]):
    """A process that runs one of our modules: one descriptor, standard input, no more.

    Parameters
    ----------
    module : module to run
    channel : the only thing it inherits, its first argument; the caller closes it afterwards
    printed : descriptor for what it prints
    arguments : further arguments
    """

    def __init__(self, module: str, channel: socket.socket, printed: int, *arguments: str) -> None:
        super().__init__(
            [sys.executable, "-m", module, str(channel.fileno()), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=printed,
            pass_fds=[channel.fileno()],
            cwd=_ROOT,
            env={**os.environ, **_SINGLE_THREADED},
        )

    def exit_code(self, timeout_s: float) -> int | None:
        """See `Child`."""
        try:
            return self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """See `Child`."""
        self.kill()
        self.wait()
        assert self.stdin is not None
        self.stdin.close()
