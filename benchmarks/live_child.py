"""The product's roles for the benchmark: the viewer's draws go to a file, the engine may be slowed.

``python -m benchmarks.live_child ROLE DESCRIPTOR``, as `stream.live.supervisor.child`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec

from engines.base import Engine
from engines.choose import Chosen
from stream.clock import now_ns
from stream.live.supervisor import child
from stream.live.supervisor.config import EngineWanted, LiveConfig
from stream.live.supervisor.role import Post, Stop
from stream.live.viewer import viewer
from stream.live.wire.messages import RoleStanding
from stream.live.worker import worker
from stream.session.manifest import ModelUsed

MODULE = "benchmarks.live_child"
DRAWS = "draws.csv"
SLOWED = "+"
"""Between the name of an engine and the milliseconds that each run of it takes more."""


class WritingPost(Post):
    """A line to the supervisor that writes down each draw.

    Parameters
    ----------
    config : of the session; the file `DRAWS` goes to its folder
    """

    def __init__(self, config: LiveConfig) -> None:
        super().__init__(config, "viewer")
        self._file = (Path(config.folder) / DRAWS).open("a", buffering=1)
        self._draws = 0

    def close(self) -> None:
        """Close line and file."""
        self._file.close()
        super().close()

    def beat(
        self,
        standing: RoleStanding,
        cause: str = "",
        counters: Mapping[str, int] | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Write a line for a new draw; then as usual."""
        if counters and facts and counters.get("draws", 0) != self._draws:
            self._draws = counters["draws"]
            figures = ",".join(str(counters[name]) for name in FIGURES)
            self._file.write(f"{now_ns()},{figures},{facts['banner']}\n")
        super().beat(standing, cause, counters, facts)


FIGURES = ("drawn", "draw_us", "shown", "age_us", "pixel_us")


def run_viewer(config: LiveConfig, _post: Post, stop: Stop) -> int:
    """Run the product's viewer; a terminal is drawn for nobody."""
    if not config.window:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    with WritingPost(config) as post:
        return viewer.run_viewer(config, post, stop)


def run_worker(config: LiveConfig, post: Post, stop: Stop) -> int:
    """Run the product's worker, its engine slowed if the configuration says so."""
    return worker.run_worker(config, post, stop, _open)


class _Slow:
    """An engine that takes longer."""

    def __init__(self, engine: Engine, more_s: float) -> None:
        self._engine, self._more_s = engine, more_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def submit(self, frames: Any) -> Any:
        """Sleep, then submit."""
        time.sleep(self._more_s)
        return self._engine.submit(frames)


def _open(wanted: EngineWanted, smaller: bool) -> tuple[Chosen, ModelUsed]:
    name, _, more_ms = wanted.engine.partition(SLOWED)
    wanted = msgspec.structs.replace(wanted, engine=name)
    chosen, used = worker.open_wanted(wanted, smaller)
    if more_ms:
        slow = cast(Engine, _Slow(chosen.engine, float(more_ms) / 1e3))
        chosen = replace(chosen, engine=slow)
    return chosen, used


RUNS = child.RUNS | {"viewer": f"{MODULE}:run_viewer", "worker": f"{MODULE}:run_worker"}

if __name__ == "__main__":
    sys.exit(child.main(sys.argv[1:], RUNS))
