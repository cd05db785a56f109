"""One child of the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from stream.closing import Closing
from stream.live.supervisor.config import LiveConfig, pass_config
from stream.live.wire.messages import Role

MODULE = "stream.live.supervisor.child"
_ROOT = Path(__file__).parents[3]
_SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class RoleProcess(Closing):
    """A running role; it ends with its parent, however that ends.

    Parameters
    ----------
    role : what it does
    config : of the session; its `instance` is that of this process
    log : descriptor for what it prints as errors
    module : Python module that runs the role
    """

    def __init__(self, role: Role, config: LiveConfig, log: int, module: str = MODULE) -> None:
        fd = pass_config(config)
        # Ctrl-C reaches every process of a terminal; a child has to last until it is told to end.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        passed = [fd] if config.ring is None else [fd, config.ring]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", module, role, str(fd)],
                stdin=subprocess.PIPE,
                stdout=None if role == "viewer" else log,
                stderr=log,
                pass_fds=passed,
                cwd=_ROOT,
                env={**os.environ, **_SINGLE_THREADED},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(fd)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def status(self) -> int | None:
        """Return the status it ended with, a signal as a negative number; None while it runs."""
        return self._process.poll()

    def terminate(self, *, dump: bool = False) -> None:
        """Ask it to end; with `dump`, have it print where it stands first.

        One that was stopped goes on, for otherwise it would say nothing.
        """
        if dump:
            self._process.send_signal(signal.SIGUSR1)
        self._process.terminate()
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it."""
        self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it came in time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """End it and see it gone."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


def as_instance(config: LiveConfig, instance: int) -> LiveConfig:
    """Return the configuration of the `instance`-th process of a role."""
    return msgspec.structs.replace(config, instance=instance)
