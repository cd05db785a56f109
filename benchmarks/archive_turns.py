"""One timed archive, from ready workers to written tables."""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.cpu_time import family_cpu_s
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from engines.open import DEMO_MODEL
from stream import console
from stream.archive.adopt import clear_work
from stream.archive.engine import describe
from stream.archive.eyes import rank_entries
from stream.archive.plan import Places, Plan, build_settings
from stream.archive.pool import Event, LocalPool
from stream.archive.records import Answering, Ready, Task
from stream.archive.run import analyse_all
from stream.archive.scan import digest_of, scan
from stream.archive.table import entry_of, write_tables
from stream.archive.worklist import WorkList
from stream.config import AnalysisConfig
from stream.hold import held


@dataclass(frozen=True, slots=True)
class Turn:
    """One archive to make: a worker on each of the cores."""

    answering: Answering
    root: Path
    out: Path
    cores: tuple[int, ...]
    report: bool


@dataclass(frozen=True, slots=True)
class Timed:
    """What it took: wall and processor time of all processes, and memory at the end.

    Memory is what lies resident for this process and its workers. Decoders, which live for one
    clip each, are left out.
    """

    frames: int
    wall_s: float
    cpu_s: float
    memory_mib: float

    @property
    def frames_hz(self) -> float:
        """Frames per second."""
        return self.frames / self.wall_s


def make_answering() -> tuple[Answering, str]:
    """Return the FP32 engine of the bundled model, and its name."""
    given = load_model(DEMO_MODEL)
    chosen = choose_engine(given, open_cache(), Wanted("openvino", "fp32"), console.warn)
    try:
        return describe(chosen, given, DEMO_MODEL, None), str(chosen.engine.info)
    finally:
        chosen.engine.close()


def take_turn(turn: Turn) -> Timed:
    """Make an archive in an empty folder, on its cores alone."""
    shutil.rmtree(turn.out, ignore_errors=True)
    turn.out.mkdir(parents=True)
    settings = build_settings(turn.answering, AnalysisConfig(), None, None, report=turn.report)
    plan = Plan(Places(turn.root, turn.out), turn.answering, settings)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, turn.cores)
    try:
        with (
            held(turn.out, "measures here") as lock,
            LocalPool(plan.setup(), len(turn.cores), lock) as pool,
        ):
            return _time(plan, _Warm(pool))
    finally:
        os.sched_setaffinity(0, before)


def _time(plan: Plan, pool: _Warm) -> Timed:
    began_s, began_cpu_s = time.monotonic(), family_cpu_s()
    with WorkList(plan.places.out) as work:
        work.sync(scan(plan.places.root), partial(digest_of, plan.places.root))
        analyse_all(work, pool, plan, lambda total: None)
        clear_work(plan.places.out, plan.run)
        rows = work.rows()
        ranked = rank_entries(entry_of(row) for row in rows)
        write_tables(plan.places.out, ranked, report=plan.settings.report)
    wall_s, cpu_s = time.monotonic() - began_s, family_cpu_s() - began_cpu_s
    frames = sum(row.facts.frames for row in rows if row.facts)
    assert frames and all(row.state == "done" for row in rows), "every clip is analysed"
    return Timed(frames, wall_s, cpu_s, _memory_mib())


class _Warm:
    """A pool whose workers are all ready before the time counts."""

    def __init__(self, pool: LocalPool) -> None:
        self._pool, self.remote = pool, pool.remote
        self._events = deque(pool.wait() for _ in range(len(pool)))
        assert all(isinstance(event.said, Ready) for event in self._events)

    def __len__(self) -> int:
        return len(self._pool)

    def give(self, worker: int, task: Task) -> None:
        self._pool.give(worker, task)

    def wait(self) -> Event:
        return self._events.popleft() if self._events else self._pool.wait()

    def replace(self, worker: int) -> None:
        raise AssertionError("a worker was lost")

    def close(self) -> None:
        self._pool.close()


def _memory_mib() -> float:
    us = psutil.Process()
    return sum(int(one.memory_info().rss) for one in [us, *us.children()]) / (1 << 20)
