"""Body of `stream bench`: names what is measured and loads only that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stream.errors import UsageError


def bench(
    what: Literal["replay", "train", "engines", "live", "archive"] = "replay",
    /,
    *models: str,
    rounds: int = 5,
    out: Path | None = None,
    memory: bool = True,
    quick: bool = False,
    slow: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    frames: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
) -> int:
    """Measure speed as ratios and print them; exits 1 when a budget is missed.

    Parameters
    ----------
    what
        replay (journal on, report off) against what it replaces; train: an epoch against the
        same steps on a batch in memory; engines: every backend, precision and batch; live: age
        of results on the screen, losses, cost, start-up and recovery with real processes; or
        archive: two workers against one, and a thousand clips against ten.
    models
        Of engines, models to measure, as FILE or LABEL=FILE; by default the bundled one, and
        MobileNetV3-Large and DenseNet121 with random weights, which have speed but no accuracy.
    rounds
        Interleaved repetitions; the median counts.
    out
        JSON file to write; runs/bench_WHAT.json by default.
    memory
        Of replay, also measure how peak memory grows from a clip of one minute to one of ten; of
        engines, also start-up and memory, two processes a row.
    quick
        Of engines, few frames, short rounds, one batch: to see that everything runs. Of live,
        about a minute in all.
    slow
        Of live, ten minutes with an engine three times too slow, or one with `--quick`.
    device
        Of engines, whose rows to run; the others are listed with the reason.
    frames
        Of engines, clips, stills, folders or tables for the gate; generated clips by default.
    """
    if models and what != "engines":
        raise UsageError(" ".join(models), f"models given to {what}", "only engines takes models")
    place = out or Path(f"runs/bench_{what}.json")
    if what == "train":
        from benchmarks.bench_train import bench as bench_train

        return bench_train(rounds=rounds, out=place)
    if what == "live":
        from benchmarks.bench_live import bench as bench_live

        return bench_live(quick=quick, slow=slow, out=place)
    if what == "archive":
        from benchmarks.bench_archive import bench as bench_archive

        return bench_archive(rounds=rounds, quick=quick, out=place)
    if what == "engines":
        from benchmarks.bench_engines import Plan
        from benchmarks.bench_engines import bench as bench_engines

        plan = Plan(models, tuple(frames or ()), device, rounds, quick, memory)
        return bench_engines(plan, place)
    from benchmarks.bench_replay import bench as bench_replay

    return bench_replay(rounds=rounds, out=place, memory=memory)
