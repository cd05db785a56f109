"""Start-up: from the start of the command `stream live` to its first pictures."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.live_child import DRAWS, MODULE
from benchmarks.live_figures import read_draws
from stream.clock import now_ns

SECONDS = 4.0


def measure_start(source: str, folder: Path, *, window: bool) -> dict[str, float | None]:
    """Run the real command for some seconds; its viewer writes its draws down.

    Returns
    -------
    ``video_s`` and ``overlay_s``: until the first frame and the first result are on the screen,
    interpreter and imports included; None when there was none
    """
    session = folder / "start"
    command = [sys.executable, "-m", "benchmarks.live_start", "live", source]
    command += ["--out", str(session.parent), "--name", session.name, "--no-report"]
    command += ["--seconds", str(SECONDS), *(() if window else ("--no-window",))]
    began_ns = now_ns()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    draws = read_draws(session / DRAWS)
    first = {
        "video_s": next((draw.time_ns for draw in draws if draw.drawn), None),
        "overlay_s": next((draw.time_ns for draw in draws if draw.shown), None),
    }

    shutil.rmtree(session)
    return {name: None if ns is None else (ns - began_ns) / 1e9 for name, ns in first.items()}


def _main(arguments: list[str]) -> int:
    """Run the command line with the roles of the benchmark in place of the product's."""
    from stream import cli, live_command
    from stream.live.supervisor import Supervisor

    setattr(live_command, "Supervisor", partial(Supervisor, module=MODULE))  # noqa: B010
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
