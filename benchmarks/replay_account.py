"""Where the time of a replayed frame goes: ``python -m benchmarks.replay_account CLIP...``.

Processor time by thread and process while clips are replayed, journal on and report off, and that
of each stage alone.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.bench_replay import open_jobs
from benchmarks.replay_stages import stage_costs
from stream import console
from stream.job import Job
from stream.replay import record_clip


def account(job: Job, clips: Sequence[str]) -> dict[str, float]:
    """Return CPU ms per frame by thread and process, and of each stage alone.

    The decoder is the child that decodes, preprocesses and copies into shared memory; `main` the
    thread that judges, ranks and writes; `engine threads` the runtime's; `sealing` what threads did
    that have ended, such as the encoding of key frames.
    """
    before, frames = spent_s(), 0
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as folder:
        for clip in clips:
            done = record_clip(clip, job, Path(folder), lambda _source: None)
            frames += done.manifest.ledger["grabbed"]
    after = spent_s()
    spent = {name: (after[name] - before[name]) * 1e3 / frames for name in after}
    alone = stage_costs(job.engine, list(clips))
    return spent | {f"{name} alone": cost_s * 1e3 for name, cost_s in alone.items()}


def spent_s() -> Mapping[str, float]:
    """Return the processor seconds so far of this process's threads and of those below it."""
    us = psutil.Process()
    threads = {one.id: one.user_time + one.system_time for one in us.threads()}
    main = threads.pop(threading.get_native_id())
    living = sum(threads.values())
    whole = sum(us.cpu_times()[:2])
    below = sum(sum(one.cpu_times()[:4]) for one in us.children(recursive=True))
    return {
        "decoder": below,
        "main": main,
        "engine threads": living,
        "sealing": max(0.0, whole - main - living),
        "all": whole + below,
    }


def main(clips: Sequence[str]) -> None:
    """Print the account with the FP32 engine, and with the fastest accepted one if there is one."""
    with ExitStack() as stack:
        jobs = [job for job in open_jobs(stack) if job is not None]
        for job in jobs:
            record_clip(clips[0], job, Path(stack.enter_context(_folder())), lambda _source: None)
        found = {str(job.engine.info): account(job, clips) for job in jobs}
    rows = [
        (name, *(f"{one[name]:.2f}" for one in found.values()))
        for name in next(iter(found.values()))
    ]
    console.show_table("CPU ms a frame", ("", *found), rows)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sonostream-bench-")


if __name__ == "__main__":
    main(sys.argv[1:])
