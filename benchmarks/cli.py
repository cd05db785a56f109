"""Body of `stream bench`: names what is measured and loads only that."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def bench(
    what: Literal["replay", "train"] = "replay",
    /,
    *,
    rounds: int = 5,
    out: Path | None = None,
    memory: bool = True,
) -> int:
    """Measure speed as ratios and print them; exits 1 when a budget is missed.

    Parameters
    ----------
    what
        replay (journal on, report off) against what it replaces, or train: an epoch against the
        same steps on a batch in memory.
    rounds
        Interleaved repetitions; the median counts.
    out
        JSON file to write; runs/bench_WHAT.json by default.
    memory
        Of replay, also measure how peak memory grows from a clip of one minute to one of ten.
    """
    place = out or Path(f"runs/bench_{what}.json")
    if what == "train":
        from benchmarks.bench_train import bench as bench_train

        return bench_train(rounds=rounds, out=place)
    from benchmarks.bench_replay import bench as bench_replay

    return bench_replay(rounds=rounds, out=place, memory=memory)
