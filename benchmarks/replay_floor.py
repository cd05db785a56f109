"""How low a frame's cost can be: ``python -m benchmarks.replay_floor CLIP [ROUNDS]``.

Processor time of loops that do more and more of a replay, in turns, and that of the stages alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.bench_replay import open_jobs
from benchmarks.replay_account import spent_s
from benchmarks.replay_stages import stage_costs
from engines.base import Pending
from stream import console
from stream.analysis.analyser import Analyser
from stream.frame import Frame
from stream.job import Job
from stream.replay import look_ahead, record_clip

ROUNDS = 7
Loop = Callable[[Job, str], int]
"""From a job and a clip to the number of frames."""


def take(job: Job, clip: str) -> int:
    """Take every picture."""
    with look_ahead(job).open(clip) as source:
        return sum(1 for _ in source)


def infer(job: Job, clip: str) -> int:
    """Take every picture, hand it to the engine and take its answer."""
    count, under_way = 0, deque[tuple[Frame, Pending]]()
    with look_ahead(job).open(clip) as source:
        for frame in source:
            assert frame.model_input is not None
            under_way.append((frame, job.engine.submit(frame.model_input[None])))
            if len(under_way) > job.engine.depth:
                under_way.popleft()[1].result()
            count += 1
        for _, pending in under_way:
            pending.result()
    return count


def analyse(job: Job, clip: str) -> int:
    """Do that with gate, checks and prediction."""
    with look_ahead(job).open(clip) as source:
        return sum(1 for _ in Analyser(job.engine).run(source))


def replay(job: Job, clip: str) -> int:
    """Do that with ranking, smoothing and journal, without a report."""
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as folder:
        done = record_clip(clip, job, Path(folder), lambda _source: None)
    return done.manifest.ledger["grabbed"]


LOOPS: tuple[Loop, ...] = (take, infer, analyse, replay)


def measure(job: Job, clip: str, rounds: int) -> list[tuple[str, Mapping[str, float]]]:
    """Return, for the stages alone and for each loop, the median CPU ms a frame by part."""
    found: dict[str, list[Mapping[str, float]]] = {}
    replay(job, clip)
    for _ in range(rounds):
        found.setdefault("stages alone", []).append(_alone(job, clip))
        for loop in LOOPS:
            found.setdefault(loop.__name__, []).append(_cost(loop, job, clip))
    return [(name, _medians(costs)) for name, costs in found.items()]


def _alone(job: Job, clip: str) -> Mapping[str, float]:
    cost_s = stage_costs(job.engine, [clip])
    decoder, engine = cost_s["decode"] + cost_s["preprocess"], cost_s["engine"]
    parts = {"decoder": decoder, "main": 0, "engine threads": engine, "sealing": 0}
    return {name: cost * 1e3 for name, cost in (parts | {"all": decoder + engine}).items()}


def _cost(loop: Loop, job: Job, clip: str) -> Mapping[str, float]:
    before = spent_s()
    frames = loop(job, clip)
    after = spent_s()
    return {name: (after[name] - before[name]) * 1e3 / frames for name in after}


def _medians(costs: list[Mapping[str, float]]) -> Mapping[str, float]:
    return {name: median(cost[name] for cost in costs) for name in costs[0]}


def main(clip: str, rounds: str = str(ROUNDS)) -> None:
    """Print it for the FP32 engine, and for the fastest accepted one if there is one."""
    with ExitStack() as stack:
        for job in (job for job in open_jobs(stack) if job is not None):
            found = measure(job, clip, int(rounds))
            rows = [(name, *(f"{cost:.2f}" for cost in costs.values())) for name, costs in found]
            console.show_table(f"CPU ms a frame, {job.engine.info}", ("", *found[0][1]), rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
