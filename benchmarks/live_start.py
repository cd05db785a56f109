"""Start-up: from the start of the command `stream live` to its first pictures."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.live_child import DRAWS, MODULE
from benchmarks.live_figures import Draw, read_draws
from stream.clock import now_ns

LIMIT_S, LOOK_S, END_S = 20.0, 0.05, 20.0


def measure_start(source: str, folder: Path, *, window: bool) -> dict[str, float | None]:
    """Run the real command until a result is on the screen; its viewer writes its draws down.

    Returns
    -------
    ``video_s`` and ``overlay_s``: until the first frame and the first result are on the screen,
    interpreter and imports included; None when there was none within `LIMIT_S`
    """
    session = folder / "start"
    command = [sys.executable, "-m", "benchmarks.live_start", "live", source, "--loop"]
    command += ["--out", str(session.parent), "--name", session.name, "--no-report"]
    began_ns = now_ns()
    process = subprocess.Popen(
        [*command, *(() if window else ("--no-window",))], stdout=subprocess.DEVNULL
    )
    try:
        draws = _wait_for_result(session / DRAWS)
    finally:
        process.terminate()
        process.wait(END_S)
    shutil.rmtree(session, ignore_errors=True)
    first = {
        "video_s": next((draw.time_ns for draw in draws if draw.drawn), None),
        "overlay_s": next((draw.time_ns for draw in draws if draw.shown), None),
    }
    return {name: None if ns is None else (ns - began_ns) / 1e9 for name, ns in first.items()}


def _wait_for_result(path: Path) -> list[Draw]:
    """Return what the viewer drew until it showed a result, or the time was over."""
    until_s = time.monotonic() + LIMIT_S
    while not (draws := read_draws(path)) or not draws[-1].shown:
        if time.monotonic() > until_s:
            break
        time.sleep(LOOK_S)
    return draws


def _main(arguments: list[str]) -> int:
    """Run the command line with the roles of the benchmark in place of the product's."""
    from stream import cli, live_command
    from stream.live.supervisor.supervisor import Supervisor

    setattr(live_command, "Supervisor", partial(Supervisor, module=MODULE))  # noqa: B010
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
