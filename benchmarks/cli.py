"""Body of `stream bench`: runs what was asked for, judges it, and shows and keeps the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stream.errors import UsageError

What = Literal["replay", "live", "engines", "wire", "train", "archive", "report", "all"]


def bench(
    what: What = "replay",
    /,
    *models: str,
    quick: bool = False,
    rounds: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    json: Path | None = None,
    compare: Path | None = None,
    memory: bool = True,
    slow: bool = False,
    frames: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
) -> int:
    """Measure speed beside what a user would pick instead, and beside the limit.

    Exits 1 when a budget is missed by more than the noise, or a benchmark fails.

    Parameters
    ----------
    what
        replay: a recording, journal on and report off, and how its cost grows; live: age of results
        on the screen, losses, cost, start-up and recovery with real processes; engines: every
        backend, precision and batch; wire: how full frames travel between processes; train: an
        epoch against the same steps on a batch in memory; archive: two workers against one, and
        many clips against few; report: writing reports; or all of them.
    models
        Of engines, models to measure, as FILE or LABEL=FILE; by default the bundled one, and
        MobileNetV3-Large and DenseNet121 with random weights, which have speed but no accuracy.
    quick
        Few frames and rounds; all of them then take under five minutes on two cores.
    rounds
        Interleaved repetitions; the median counts. 5 by default, 2 when quick.
    device
        Of engines, whose rows to run; the others are listed with the reason. Of replay, cuda adds
        loops on the card.
    json
        File to write, with a plot of the same name beside it; runs/bench_WHAT.json by default.
    compare
        A file that an earlier run wrote: show what changed.
    memory
        Of replay, also measure peak memory; of engines, also start-up and memory, two processes a
        row.
    slow
        Of live, ten minutes with an engine three times too slow, or one with `--quick`.
    frames
        Of engines, clips, stills, folders or tables for the gate; generated clips by default.
    """
    if models and what != "engines":
        raise UsageError(" ".join(models), f"models given to {what}", "only engines takes models")
    from benchmarks.plan import QUICK_ROUNDS, ROUNDS, Plan
    from benchmarks.run import run

    plan = Plan(
        quick=quick,
        rounds=rounds or (QUICK_ROUNDS if quick else ROUNDS),
        device=device,
        models=models,
        frames=tuple(frames or ()),
        memory=memory,
        slow=slow,
    )
    return run(what, plan, json or Path(f"runs/bench_{what}.json"), compare)
