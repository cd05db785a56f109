"""Live: how old a result is on the screen, what is lost, what it costs, how fast it comes back.

Everything is real: ffmpeg sends over loopback, the product's own processes work, a window is drawn
on an X server in memory. The engine alone, in the same run, is the floor.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import live_streams
from benchmarks.budgets import SLOW_RUN
from benchmarks.live_engine import measure_engine
from benchmarks.live_page import Found, list_rows, list_skipped
from benchmarks.live_rows import LOADS, Load, measure_kills, measure_row, slow_row
from benchmarks.live_sender import display
from benchmarks.live_start import measure_start
from benchmarks.plan import Plan
from benchmarks.result import Part, curve
from benchmarks.show import note
from stream.replay_command import DEMO_CLIP


@dataclass(frozen=True, slots=True)
class Extent:
    """What is measured, and for how long.

    Parameters
    ----------
    loads : a session each
    row_s : measured of each
    starts, kills : repetitions
    slow_s : of the session with a slow engine
    """

    loads: tuple[Load, ...]
    row_s: float
    starts: int
    kills: int
    slow_s: float


FULL, QUICK = Extent(LOADS, 30.0, 5, 10, 600.0), Extent(LOADS[1:], 4.0, 1, 1, 60.0)
SLOW_LOAD = LOADS[1]
STREAM_AXES = ("streams of 480p, 15 frames/s", "age of a result, p99, ms")


def measure(plan: Plan) -> Part:
    """Measure live sessions, or one with a slow engine."""
    extent = QUICK if plan.quick else FULL
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch:
        if plan.slow:
            note("live: an engine three times too slow")
            found = Found(slow=slow_row(SLOW_LOAD, extent.slow_s, Path(scratch)))
        else:
            found = _measure(extent, Path(scratch))
    streams = (curve("streams on one engine", STREAM_AXES, found.streams),)
    return Part(
        name="live",
        about="sessions with capture, worker, recorder and window",
        rows=tuple(list_rows(found)),
        curves=streams if found.streams else (),
        skipped=tuple(list_skipped(found)),
        lacks=() if plan.slow else (SLOW_RUN,),
    )


def _measure(extent: Extent, folder: Path) -> Found:
    load_s = measure_engine(DEMO_CLIP, 25, 1.0)["load_s"]  # and now the engine is in the cache
    rows = []
    for load in extent.loads:
        note(f"live: {load.name}")
        rows.append(measure_row(load, extent.row_s, folder))
    note("live: start-up")
    with display((1280, 720)) as server:
        window = server is not None
        starts = [
            measure_start(str(DEMO_CLIP), folder, window=window) for _ in range(extent.starts)
        ]
    note("live: kills")
    kills = measure_kills(extent.kills, folder)
    note("live: streams on one engine")
    streams = live_streams.curve(quick=extent is QUICK)
    return Found(tuple(rows), load_s, tuple(starts), tuple(kills), None, tuple(streams))
