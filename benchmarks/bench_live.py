"""Live: how old a result is on the screen, what is lost, what it costs, how fast it comes back.

Everything is real: ffmpeg sends over loopback, the product's own processes work, a window is drawn
on an X server in memory. The engine and the transport alone, in the same run, are the floor.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.live_engine import measure_engine
from benchmarks.live_page import judge_budgets, show
from benchmarks.live_rows import LOADS, Load, measure_kills, measure_row, slow_row
from benchmarks.live_sender import display
from benchmarks.live_start import measure_start
from benchmarks.live_transport import measure_transport
from benchmarks.machine import describe_machine
from stream import console
from stream.replay_command import DEMO_CLIP


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and for how long.

    Parameters
    ----------
    loads : a session each
    row_s : measured of each
    starts, kills : repetitions
    transport : frames of each round, and rounds, of the transport alone
    """

    loads: tuple[Load, ...]
    row_s: float
    starts: int
    kills: int
    transport: tuple[int, int]


FULL = Plan(LOADS, 30.0, 5, 10, (300, 2))
QUICK = Plan(LOADS[1:], 6.0, 2, 2, (60, 1))
SLOW_S, QUICK_SLOW_S = 600.0, 60.0
SLOW_LOAD = LOADS[1]


def bench(*, quick: bool, slow: bool, out: Path) -> int:
    """Measure live sessions and print every figure; exits 1 when a budget is missed.

    Parameters
    ----------
    quick
        About a minute in all.
    slow
        One long session with an engine three times too slow, in place of everything else: ten
        minutes, or one when quick.
    out
        JSON file to write.
    """
    result = {
        "bench": "live",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "quick": quick,
        "loadavg": os.getloadavg(),
    }
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch:
        folder = Path(scratch)
        if slow:
            _note("an engine three times too slow")
            seconds = QUICK_SLOW_S if quick else SLOW_S
            result["slow"] = slow_row(SLOW_LOAD, seconds, folder)
        else:
            result |= _measure(QUICK if quick else FULL, folder)
    budgets = judge_budgets(result)
    result["budgets"] = [{**budget._asdict(), "kept": budget.kept} for budget in budgets]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    show(result, budgets)
    console.say(f"figures: {out}")
    return 0 if all(budget.kept for budget in budgets) else 1


def _measure(plan: Plan, folder: Path) -> dict[str, Any]:
    _note("the transport alone")
    frames, rounds = plan.transport
    transport = measure_transport(frames, rounds=rounds, formats=("yuv420",))
    load_s = measure_engine(DEMO_CLIP, 25, 1.0)["load_s"]  # and now the engine is in the cache
    rows = []
    for load in plan.loads:
        _note(load.name)
        rows.append(measure_row(load, plan.row_s, folder))
    _note("start-up")
    with display((1280, 720)) as server:
        window = server is not None
        starts = [measure_start(str(DEMO_CLIP), folder, window=window) for _ in range(plan.starts)]
    _note("kills")
    kills = measure_kills(plan.kills, folder)
    return {
        "rows": rows,
        "transport": transport,
        "engine_load_s": load_s,
        "starts": starts,
        "kills": kills,
    }


def _note(line: str) -> None:
    """Show a line of progress."""
    console.err().print(line, markup=False)
