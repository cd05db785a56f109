"""Times engines in turns, so that all of them see the same machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


class Answer(Protocol):
    """A run under way."""

    def result(self) -> object:
        """Wait for the answer."""
        ...


class Runner(Protocol):
    """What can be timed: every engine, and more."""

    @property
    def depth(self) -> int:
        """How many runs may be under way to keep the device busy."""
        ...

    def submit(self, frames: Frames, /) -> Answer:
        """Start a run."""
        ...


@dataclass(frozen=True, slots=True)
class Turns:
    """How long is measured.

    Parameters
    ----------
    rounds : interleaved repetitions
    round_s : time of each of the two measurements of a round
    """

    rounds: int
    round_s: float


@dataclass(frozen=True, slots=True)
class Timing:
    """What was measured of one runner.

    Parameters
    ----------
    runs_ms : times of single runs, nothing else under way, by round
    rates_hz : frames per second with `depth` runs under way, by round
    """

    runs_ms: list[list[float]] = field(default_factory=list)
    rates_hz: list[float] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """Return percentiles of a run and the median rate with its range."""
        every = np.concatenate([np.array(runs) for runs in self.runs_ms])
        p50, p95, p99 = np.percentile(every, (50, 95, 99))
        return {
            "runs": len(every),
            "p50_ms": float(p50),
            "p95_ms": float(p95),
            "p99_ms": float(p99),
            "fps": float(np.median(self.rates_hz)),
            "fps_min": min(self.rates_hz),
            "fps_max": max(self.rates_hz),
            "fps_rounds": list(self.rates_hz),
        }

    def rate_over(self, other: Timing) -> dict[str, Any]:
        """Return the median over rounds of the ratio of rates, with its range."""
        ratios = np.array(self.rates_hz) / np.array(other.rates_hz)
        return _spread("over_fp32", ratios)

    def time_over(self, other: Timing) -> dict[str, Any]:
        """Return the median over rounds of the ratio of a run's median time, with its range."""
        mine, theirs = ([np.median(runs) for runs in x.runs_ms] for x in (self, other))
        return _spread("ratio", np.array(mine) / np.array(theirs))


def take_turns(runners: Sequence[tuple[Runner, Frames]], turns: Turns) -> list[Timing]:
    """Warm up, then time all runners in every round, each with its frames."""
    timings = [Timing() for _ in runners]
    for runner, frames in runners:
        keep_busy(runner, frames, 0.0)
    for _ in range(turns.rounds):
        for (runner, frames), timing in zip(runners, timings, strict=True):
            timing.runs_ms.append(_time_runs_ms(runner, frames, turns.round_s))
            timing.rates_hz.append(_rate_hz(runner, frames, turns.round_s))
    return timings


def keep_busy(runner: Runner, frames: Frames, seconds: float) -> int:
    """Run with `depth` runs under way, at least that many, and return the number of frames."""
    under_way: list[Answer] = []
    runs, began_ns = 0, time.perf_counter_ns()
    while runs < runner.depth or time.perf_counter_ns() - began_ns < seconds * 1e9:
        under_way.append(runner.submit(frames))
        runs += 1
        if len(under_way) >= runner.depth:
            under_way.pop(0).result()
    for answer in under_way:
        answer.result()
    return runs * len(frames)


def draw_noise(size_wh: tuple[int, int], count: int) -> Frames:
    """Return frames of noise, shape (count, h, w, 3); the time of a run does not depend on them."""
    width, height = size_wh
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def _time_runs_ms(runner: Runner, frames: Frames, round_s: float) -> list[float]:
    """Time single runs, at least one."""
    spent_ms: list[float] = []
    ends_ns = time.perf_counter_ns() + round(round_s * 1e9)
    while not spent_ms or time.perf_counter_ns() < ends_ns:
        began_ns = time.perf_counter_ns()
        runner.submit(frames).result()
        spent_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    return spent_ms


def _rate_hz(runner: Runner, frames: Frames, round_s: float) -> float:
    """Return frames per second with `depth` runs under way."""
    began_ns = time.perf_counter_ns()
    count = keep_busy(runner, frames, round_s)
    return count / ((time.perf_counter_ns() - began_ns) / 1e9)


def _spread(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    low, middle, high = (float(np.quantile(values, q)) for q in (0, 0.5, 1))
    rounds = {f"{name}_rounds": values.tolist()}
    return {name: middle, f"{name}_min": low, f"{name}_max": high} | rounds
