"""Loops over the same clips in turns, and in each round the cost of every stage alone."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cpu_time import family_cpu_s
from benchmarks.loops import Loop
from benchmarks.replay_stages import stage_costs
from engines.base import Engine
from stream.errors import StreamError
from stream.job import Job
from stream.recording import Recording, Result
from stream.replay import Outcome, analyse_clip, replay_clips
from stream.replay_command import DEMO_CLIP
from stream.sources.open import Ahead
from stream.sources.video import open_video

COPIES = 20
WHOLE, PARALLEL = "limit", ("decode", "preprocess", "engine")
"""The name of the limit, and the stages that it is made of."""


@dataclass(frozen=True, slots=True)
class Lap:
    """One round.

    Parameters
    ----------
    rates_hz : frames per second of each loop
    cpu_s : processor seconds per frame of each loop, those of its children included
    costs_s : of each stage alone, and of copying a picture
    """

    rates_hz: Mapping[str, float]
    cpu_s: Mapping[str, float]
    costs_s: Mapping[str, float]

    def limits_hz(self) -> dict[str, float]:
        """Return the frames per second of all cores if only this cost anything."""
        cores = len(os.sched_getaffinity(0))
        alone = {f"{name} only": cores / cost for name, cost in self.costs_s.items()}
        return {WHOLE: cores / self.stages_s} | alone

    @property
    def stages_s(self) -> float:
        """Processor seconds per frame of decoding, preprocessing and the engine."""
        return sum(self.costs_s[name] for name in PARALLEL)


def race(loops: Mapping[str, Loop], engine: Engine, clips: Sequence[str], rounds: int) -> list[Lap]:
    """Warm every loop up on the bundled clip, then let them take turns over all clips."""
    for loop in loops.values():
        loop([str(DEMO_CLIP)])
    laps = []
    for _ in range(rounds):
        timed = {name: _time(loop, clips) for name, loop in loops.items()}
        costs = stage_costs(engine, list(clips)) | {"copy": _copy_cost(clips)}
        rates = {name: rate for name, (rate, _) in timed.items()}
        laps.append(Lap(rates, {name: cpu for name, (_, cpu) in timed.items()}, costs))
    return laps


def our_loop(job: Job, end: Callable[[Recording], Result] = Recording.seal) -> Loop:
    """Return replay itself, journal on, without report unless `end` writes one."""

    def run(paths: Sequence[str]) -> int:
        with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as folder:

            def analyse(path: str, ahead: Ahead) -> Recording:
                return analyse_clip(path, job, Path(folder), lambda _source: None, ahead)

            return sum(_frames(outcome) for outcome in replay_clips(paths, job, analyse, end))

    return run


def _frames(outcome: Outcome) -> int:
    if isinstance(outcome, StreamError):
        raise outcome
    return outcome.manifest.ledger["grabbed"]


def _time(loop: Loop, clips: Sequence[str]) -> tuple[float, float]:
    """Return frames per second, and processor seconds per frame, over all clips."""
    began_s, cpu_s = time.perf_counter(), family_cpu_s()
    frames = loop(clips)
    return frames / (time.perf_counter() - began_s), (family_cpu_s() - cpu_s) / frames


def _copy_cost(clips: Sequence[str]) -> float:
    """Return the processor seconds of copying a picture, the mean of the clips' first ones."""
    spent_s = 0.0
    for clip in clips:
        reader = open_video(clip)
        planes = next(iter(reader.pictures())).pixels.planes
        targets = [np.empty_like(plane) for plane in planes]
        began_s = time.thread_time()
        for _ in range(COPIES):
            for source, target in zip(planes, targets, strict=True):
                np.copyto(target, source)
        spent_s += time.thread_time() - began_s
        reader.close()
    return spent_s / COPIES / len(clips)
