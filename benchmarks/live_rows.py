"""The rows of the live benchmark: one session each, with its floors measured in the same run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.live_child import SLOWED
from benchmarks.live_engine import measure_engine
from benchmarks.live_figures import (
    Draw,
    ages_ms,
    between,
    pixels_ms,
    recoveries,
    slope_per_minute,
    summary,
)
from benchmarks.live_run import LiveRun, Setting, live_run
from benchmarks.live_sender import display, make_clip, sending
from benchmarks.live_usage import Usage
from stream.clock import now_ns
from stream.live.wire.messages import ResultHeader
from stream.replay_command import DEMO_CLIP
from stream.session.journal import open_reading
from stream.session.manifest import JOURNAL, read_manifest

WARM_UP_S = 3.0
LOOK_S = 1.0
START_S = 1.0
"""Pictures lost in the first second of a session are those of the search for the sector."""
SLOWNESS = 3
PAUSE_S = 1.5
"""From a recovery to the next kill."""


@dataclass(frozen=True, slots=True)
class Load:
    """Pictures that a sender gives: size, rate, and whether the window fills such a screen."""

    name: str
    size_wh: tuple[int, int]
    rate_hz: int


LOADS = (
    Load("720p30", (1280, 720), 30),
    Load("720p60", (1280, 720), 60),
    Load("1080p60", (1920, 1080), 60),
)


def measure_row(load: Load, seconds: float, folder: Path, slowed_ms: float = 0.0) -> dict[str, Any]:
    """Run a session on a real sender and return its figures, with the engine alone as the floor.

    Parameters
    ----------
    seconds : measured, after a warm-up
    folder : for clip and session
    slowed_ms : what each run of the engine takes more
    """
    clip = make_clip(folder, load.size_wh, load.rate_hz)
    floor = measure_engine(clip, load.rate_hz, min(seconds, 20.0))
    engine = f"auto{SLOWED}{slowed_ms}" if slowed_ms else "auto"
    session = folder / f"{load.name}-{now_ns()}"
    with ExitStack() as stack:
        server = stack.enter_context(display(load.size_wh))
        address, sender = stack.enter_context(sending(clip))
        full = load.size_wh[1] > 720
        setting = Setting(address, server is not None, full, engine)
        with live_run(session, setting) as run:
            others = {"sender": sender} | ({"display": server} if server is not None else {})
            span_ns, usage = _watch(run, seconds, others)
    facts = {"load": load.name, "window": server is not None, "seconds": seconds, "floor": floor}
    times = _times(run.results, run.draws(), span_ns)
    spent = {"usage": usage.figures(), "other_cpu": usage.others(), "loadavg": os.getloadavg()[0]}
    return facts | times | _losses(run, load) | spent


def slow_row(load: Load, seconds: float, folder: Path) -> dict[str, Any]:
    """Return the row of an engine that takes three times as long as the frames are apart."""
    return measure_row(load, seconds, folder, SLOWNESS * 1e3 / load.rate_hz)


def measure_kills(times: int, folder: Path) -> list[dict[str, float | None]]:
    """Kill the worker of a session again and again; return the times of each recovery."""
    killed_ns = []
    with display((1280, 720)) as server:
        setting = Setting(str(DEMO_CLIP), server is not None, recording=True)
        with live_run(folder / f"kills-{now_ns()}", setting) as run:
            run.until_steady()
            for _ in range(times):
                run.run(PAUSE_S)
                run.forgive()
                worker = run.results[-1].worker
                killed_ns.append(now_ns())
                os.kill(run.roles["worker"].pid, 9)
                run.until(partial(_answers, run, worker), 60.0)
            run.run(PAUSE_S)
    return recoveries(run.draws(), killed_ns)


def _answers(run: LiveRun, before: int) -> bool:
    """Tell whether a later worker answers."""
    return run.results[-1].worker > before


def _watch(
    run: LiveRun, seconds: float, others: Mapping[str, int]
) -> tuple[tuple[int, int], Usage]:
    """Warm up, then watch; return the span measured and what the processes took."""
    run.until_steady()
    run.run(WARM_UP_S)
    roles = {str(role): status.pid for role, status in run.roles.items()}
    usage = Usage({**roles, "supervisor and benchmark": os.getpid(), **others})
    began_ns = now_ns()
    while now_ns() - began_ns < seconds * 1e9:
        run.run(min(LOOK_S, seconds))
        usage.look()
    return (began_ns, now_ns()), usage


def _times(
    results: Sequence[ResultHeader], draws: Sequence[Draw], span_ns: tuple[int, int]
) -> dict[str, Any]:
    """Return percentiles in ms over the span, and how the ages grew over it."""
    shown = between(draws, *span_ns)
    heard = [one for one in results if span_ns[0] <= one.done_ns < span_ns[1]]
    aged = [draw for draw in shown if draw.age_us]
    span_s = (span_ns[1] - span_ns[0]) / 1e9
    ages = [(one.done_ns - one.captured_ns) / 1e6 for one in heard]
    return {
        "capture_to_result_ms": summary(ages),
        "engine_ms": summary([one.engine_ns / 1e6 for one in heard]),
        "preprocess_ms": summary([one.preprocess_ns / 1e6 for one in heard]),
        "screen_age_ms": summary(ages_ms(shown)),
        "result_to_pixel_ms": summary(pixels_ms(shown)),
        "draw_ms": summary([draw.draw_us / 1e3 for draw in shown]),
        "results_hz": round(len(heard) / span_s, 2),
        "draws_hz": round(len(shown) / span_s, 2),
        "withdrawn_draws": len(shown) - len(aged),
        "age_ms_per_minute": slope_per_minute(
            [(draw.time_ns - span_ns[0]) / 1e9 for draw in aged], ages_ms(aged)
        )._asdict(),
    }


def _losses(run: LiveRun, load: Load) -> dict[str, Any]:
    """Return the sealed ledger, and what capture lost after the start, by reason."""
    early = START_S * load.rate_hz
    query = "SELECT first_seq, last_seq, name, reason FROM losses WHERE first_seq >= ?"
    late: Counter[str] = Counter()
    with open_reading(run.folder / JOURNAL) as db:
        for first, last, name, reason in db.execute(query, (early,)):
            late[f"{name}: {reason}"] += last - first + 1
            late["capture_drop"] += (last - first + 1) * (name == "capture_drop")
    drops = late.pop("capture_drop", 0)
    restarts = {str(role): status.restarts for role, status in run.roles.items()}
    return {
        "ledger": read_manifest(run.folder).ledger,
        "late_losses": dict(late),
        "late_capture_drops": drops,
        "restarts": restarts,
    }
