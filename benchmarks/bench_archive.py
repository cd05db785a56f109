"""Archive speed: two workers against one, cost and memory of many clips against few.

Each worker keeps to one core, so one worker alone on one core is the same engine configuration.
Starting the workers, about a second each time, is left out of all figures.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.archive_trees import copy_clip, encode_tiny
from benchmarks.archive_turns import Timed, Turn, make_answering, take_turn
from stream.archive.records import Answering
from stream.errors import UsageError
from stream.replay_command import DEMO_CLIP


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured.

    Parameters
    ----------
    clip : of which pairs are made; the tiny one when None
    pair_clips : in each turn of one worker and of two: with reports, and without
    alone : on how many of the two cores one worker is measured
    counts : tiny clips of the archives whose cost per clip is compared
    few_turns : repetitions of the smallest of them
    worker_clips : tiny clips for each worker, where there are one, two and more
    """

    clip: Path | None
    pair_clips: tuple[int, int]
    alone: int
    counts: tuple[int, ...]
    few_turns: int
    worker_clips: int


FULL = Amount(DEMO_CLIP, (12, 12), 2, (10, 30, 100, 300, 1000), 9, 40)
QUICK = Amount(None, (4, 12), 1, (6, 12, 30), 2, 3)


def measure(quick: bool, rounds: int) -> dict[str, list[float]]:
    """Measure one worker and two, and archives of few clips and of many.

    Parameters
    ----------
    rounds : interleaved turns of one worker and two

    Returns
    -------
    Values of each round by name: the rate of two workers over twice that of one, with reports and
    without (`_bare`); both rates in frames per second, and processor time per frame; processor
    time per clip of many clips over few, and growth of the resident memory.

    Raises
    ------
    UsageError
        If there are not two cores.
    """
    amount = QUICK if quick else FULL
    with _open() as bench:
        return {
            **_pairs(bench, amount, rounds, report=True),
            **_pairs(bench, amount, rounds, report=False),
            **_few_and_many(bench, amount),
        }


def curve(quick: bool) -> list[tuple[float, float]]:
    """Return processor time per clip, in ms, by the number of clips of an archive."""
    counts = (QUICK if quick else FULL).counts
    with _open() as bench:
        turns = [(count, bench.turn(bench.tiny, count, _cores()[:2])) for count in counts]
    return [(count, turn.cpu_s / count * 1e3) for count, turn in turns]


def workers_curve(quick: bool) -> list[tuple[float, float]]:
    """Return clips per second by the number of workers, from one to one for each core."""
    each, cores = (QUICK if quick else FULL).worker_clips, _cores()
    numbers = sorted({*(2**power for power in range(len(cores).bit_length())), len(cores)})
    with _open() as bench:
        turns = [(n, bench.turn(bench.tiny, each * n, cores[:n])) for n in numbers]
    return [(n, each * n / turn.wall_s) for n, turn in turns]


@dataclass(frozen=True, slots=True)
class _Bench:
    answering: Answering
    folder: Path
    tiny: Path

    def turn(
        self, clip: Path, count: int, cores: tuple[int, ...], *, report: bool = False
    ) -> Timed:
        root = self.folder / f"{clip.stem}{count}"
        if not root.exists():
            copy_clip(clip, root, count)
        return take_turn(Turn(self.answering, root, self.folder / "out", cores, report))


@contextmanager
def _open() -> Iterator[_Bench]:
    answering, _ = make_answering()
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch:
        folder = Path(scratch)
        yield _Bench(answering, folder, encode_tiny(folder / "tiny.mp4"))


def _cores() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0)))


def _pairs(bench: _Bench, amount: Amount, rounds: int, *, report: bool) -> dict[str, list[float]]:
    """Take turns: one worker on a core, or on each of two alone, then one on both."""
    cores, clip = _cores()[:2], amount.clip or bench.tiny
    if len(cores) < 2:
        raise UsageError("bench archive", "one core", "two are needed")
    end, count = ("", amount.pair_clips[0]) if report else ("_bare", amount.pair_clips[1])
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        alone = cores[: amount.alone]
        ones = [bench.turn(clip, count, (core,), report=report) for core in alone]
        two = bench.turn(clip, count, cores, report=report)
        one_hz = statistics.mean(one.frames_hz for one in ones)
        values = {
            f"two_over_twice_one{end}": two.frames_hz / (2 * one_hz),
            f"one_worker{end}_hz": one_hz,
            f"two_workers{end}_hz": two.frames_hz,
            f"one_worker{end}_cpu_ms": statistics.mean(map(_cost_ms, ones)),
            f"two_workers{end}_cpu_ms": _cost_ms(two),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def _cost_ms(turn: Timed) -> float:
    return turn.cpu_s / turn.frames * 1e3


def _few_and_many(bench: _Bench, amount: Amount) -> dict[str, list[float]]:
    """Compare the smallest archive, made several times, with the largest."""
    few, many = amount.counts[0], amount.counts[-1]
    small = [bench.turn(bench.tiny, few, _cores()[:2]) for _ in range(amount.few_turns)]
    large = bench.turn(bench.tiny, many, _cores()[:2])
    return {
        "cost_many_over_few": [large.cpu_s / many / (one.cpu_s / few) for one in small],
        "growth_mib": [large.memory_mib - one.memory_mib for one in small],
        "many_clips_mib": [large.memory_mib],
    }
