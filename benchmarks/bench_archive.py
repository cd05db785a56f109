"""Archive speed, as ratios of one run: two workers against one, a thousand clips against ten.

Each worker keeps to one core, so one worker alone on one core is the same engine configuration.
Starting the workers, about two seconds once, is left out of all figures.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.archive_trees import copy_clip, encode_tiny
from benchmarks.archive_turns import Timed, Turn, make_answering, take_turn
from benchmarks.machine import describe_machine
from stream import console
from stream.archive.records import Answering
from stream.replay_command import DEMO_CLIP

BUDGETS = Path(__file__).with_name("budgets.toml")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Parameters
    ----------
    pair_clips : of the bundled clip, in each turn of one worker and of two
    few, many : tiny clips of the two archives whose cost per clip is compared
    few_turns : repetitions of the small one
    """

    pair_clips: int
    few: int
    many: int
    few_turns: int


FULL, QUICK = Plan(12, 10, 1000, 9), Plan(2, 10, 60, 3)


def bench(*, rounds: int, quick: bool, out: Path) -> int:
    """Measure the archive and print ratios; exits 1 when a budget is missed.

    Parameters
    ----------
    rounds
        Interleaved repetitions of one worker and two; the median counts.
    quick
        Few clips: to see that everything runs.
    out
        JSON file to write.
    """
    plan = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch:
        folder = Path(scratch)
        answering, engine = make_answering()
        result: dict[str, Any] = {
            "bench": "archive",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": describe_machine(),
            "engine": engine,
            "quick": quick,
            "loadavg": os.getloadavg(),
            "workers": {
                report: _pairs(answering, folder, plan, rounds, report=report == "with_report")
                for report in ("with_report", "without_report")
            },
            "clips": _counts(answering, folder, plan),
        }
    ratios = {
        "two_over_twice_one": result["workers"]["with_report"]["ratio"],
        "two_over_twice_one_bare": result["workers"]["without_report"]["ratio"],
        "cost_many_over_few": result["clips"]["cost_ratio"],
        "growth_mib": result["clips"]["growth_mib"],
    }
    result["ratios"] = ratios
    missed = judge(ratios)
    _publish(result, missed, out)
    return 1 if missed and not quick else 0


def judge(ratios: dict[str, float]) -> list[str]:
    """Return one line for each budget that was missed."""
    budgets = tomllib.loads(BUDGETS.read_text()).get("archive", {})
    return [
        f"{name} is {ratios[name]:.2f}, wanted {kind.replace('_', ' ')} {bound}"
        for kind, bounds in budgets.items()
        for name, bound in bounds.items()
        if (ratios[name] < bound if kind == "at_least" else ratios[name] > bound)
    ]


def _pairs(
    answering: Answering, folder: Path, plan: Plan, rounds: int, *, report: bool
) -> dict[str, Any]:
    """Take turns: one worker on each of two cores alone, then one on both."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("two cores are needed")
    root = copy_clip(DEMO_CLIP, folder / "demo", plan.pair_clips)
    rounds_of: list[tuple[Timed, Timed, Timed]] = []
    for number in range(rounds):
        console.warn(f"two workers, {'with' if report else 'without'} reports: round {number + 1}")
        first, second, both = (
            take_turn(Turn(answering, root, folder / "out", wanted, report))
            for wanted in ((cores[0],), (cores[1],), tuple(cores))
        )
        rounds_of.append((first, second, both))
    rows = [tuple(turn.frames_hz for turn in turns) for turns in rounds_of]
    costs = [tuple(turn.cpu_s / turn.frames * 1e3 for turn in turns) for turns in rounds_of]
    return {
        "fps_one": statistics.median((first + second) / 2 for first, second, _ in rows),
        "fps_two": statistics.median(both for _, _, both in rows),
        "ratio": statistics.median(both / (first + second) for first, second, both in rows),
        "cpu_ms_per_frame_one": statistics.median((a + b) / 2 for a, b, _ in costs),
        "cpu_ms_per_frame_two": statistics.median(both for _, _, both in costs),
        "rounds": rows,
    }


def _counts(answering: Answering, folder: Path, plan: Plan) -> dict[str, Any]:
    """Compare the cost per clip and the memory of a small archive with those of a large one."""
    cores = tuple(sorted(os.sched_getaffinity(0))[:2])
    tiny = encode_tiny(folder / "tiny.mp4")
    few_root, many_root = (
        copy_clip(tiny, folder / f"tiny{count}", count) for count in (plan.few, plan.many)
    )
    few = [
        take_turn(Turn(answering, few_root, folder / "out", cores, report=False))
        for _ in range(plan.few_turns)
    ]
    console.warn(f"{plan.many} clips")
    many = take_turn(Turn(answering, many_root, folder / "out", cores, report=False))
    few_cpu_s = statistics.median(turn.cpu_s / plan.few for turn in few)
    return {
        "few": plan.few,
        "many": plan.many,
        "few_cpu_ms_per_clip": few_cpu_s * 1e3,
        "many_cpu_ms_per_clip": many.cpu_s / plan.many * 1e3,
        "few_ms_per_clip": statistics.median(turn.wall_s / plan.few for turn in few) * 1e3,
        "many_ms_per_clip": many.wall_s / plan.many * 1e3,
        "cost_ratio": many.cpu_s / plan.many / few_cpu_s,
        "few_mib": statistics.median(turn.memory_mib for turn in few),
        "many_mib": many.memory_mib,
        "growth_mib": many.memory_mib - statistics.median(turn.memory_mib for turn in few),
    }


def _publish(result: dict[str, Any], missed: list[str], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    rows = [
        (
            name,
            f"{pair['fps_one']:.0f}",
            f"{pair['fps_two']:.0f}",
            f"{pair['ratio']:.0%}",
            f"{pair['cpu_ms_per_frame_one']:.1f}",
            f"{pair['cpu_ms_per_frame_two']:.1f}",
        )
        for name, pair in result["workers"].items()
    ]
    title = f"Archive, {result['engine']}, {result['machine']['processor']}"
    heads = ("sessions", "fps of one", "of two", "of twice one", "CPU ms per frame", "of two")
    console.show_table(title, heads, rows)
    for name, value in result["clips"].items():
        console.say(f"{name}: {value:.2f}")
    console.say(f"load before: {result['loadavg'][0]:.1f}")
    for line in missed:
        console.warn(f"budget missed: {line}")
    console.say(f"figures: {out}")
