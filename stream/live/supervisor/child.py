"""The process of one role: ``python -m stream.live.supervisor.child ROLE DESCRIPTOR``."""

from __future__ import annotations

import faulthandler
import importlib
import logging
import signal
import sys
from collections.abc import Callable
from typing import cast

from engines.errors import SonostreamError
from stream.live.supervisor.config import LiveConfig, take_config
from stream.live.supervisor.quiet import quieten
from stream.live.supervisor.role import Post, Stop
from stream.live.wire.messages import Role
from stream.sources.sandbox_child import die_with_parent

Run = Callable[[LiveConfig, Post, Stop], int]
RUNS = {
    "capture": "stream.live.capture.capture:run_capture",
    "worker": "stream.live.worker.worker:run_worker",
    "recorder": "stream.live.recorder.recorder:run_recorder",
    "viewer": "stream.live.viewer.viewer:run_viewer",
}


def main(arguments: list[str], runs: dict[str, str] | None = None) -> int:
    """Run a role until it is told to stop; return the status of the process.

    Parameters
    ----------
    arguments : role, number of the descriptor with its configuration
    runs : what runs a role, as ``module:function``; those of this package when None
    """
    role, fd = cast(Role, arguments[0]), int(arguments[1])
    die_with_parent()
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # F02: where it hung goes to the log
    logging.basicConfig(level=logging.INFO, format=f"{role}: %(name)s: %(message)s")
    quieten()
    stop, config = Stop(), take_config(fd)
    with Post(config, role) as post:
        post.beat("starting")
        module, _, function = (runs or RUNS)[role].partition(":")
        try:
            run = cast(Run, getattr(importlib.import_module(module), function))
            return run(config, post, stop)
        except SonostreamError as error:
            logging.getLogger(role).error("%s", error)
            post.beat("down", str(error))
            return error.exit_code
        except Exception as error:
            logging.getLogger(role).exception("a defect of ours")
            post.beat("down", f"{type(error).__name__}: {error}")  # F04: the screen has the cause
            return SonostreamError.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
