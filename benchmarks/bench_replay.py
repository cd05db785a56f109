"""Replay, beside what a user would write, and beside the limit; journal on, report off.

The limit is what the cores could do if nothing but decoding, preprocessing and the engine cost
anything: cores / (CPU seconds per frame of those three, each measured alone in every round).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.budgets import REAL_CLIPS
from benchmarks.gpu_replay import Card, compare_loops, measure_busy, open_card
from benchmarks.loops import Loop, eager_loop, onnxruntime_loop, openvino_loop
from benchmarks.plan import Plan
from benchmarks.replay_child import Replayed
from benchmarks.replay_curves import LENGTHS_S, draw_lengths, measure_curves, measure_lengths
from benchmarks.replay_race import WHOLE, Lap, our_loop, race
from benchmarks.result import Part, Ratio, Role, Row, Skipped, figure, times_as_fast
from benchmarks.show import note
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from engines.open import DEMO_MODEL
from stream import console
from stream.config import AnalysisConfig
from stream.job import Job, model_used
from stream.replay_command import DEMO_CLIP
from stream.sources.nursery import Nursery

CLIPS = Path("../shared/data")
"""All videos below are replayed."""
QUICK_CLIP = CLIPS / "pocus_lung/videos/convex/Cov_convex_volpecelli_sonographic_v1.mov"
VIDEO_SUFFIXES = frozenset([".mp4", ".mov", ".avi", ".gif"])
OURS, FAST = "sonostream", "sonostream_fast"
RATIOS = {
    "over_eager": (OURS, "eager"),
    "over_onnxruntime": (OURS, "onnxruntime"),
    "over_openvino_queue": (OURS, "openvino_queue"),
    "of_limit": (OURS, WHOLE),
    "fast_over_eager": (FAST, "eager"),
    "fast_over_openvino_queue": (FAST, "fast_openvino_queue"),
}
NO_FAST = "no engine faster than FP32 is accepted here; `stream compile` makes one"
NO_MEMORY = "`--no-memory`"


def measure(plan: Plan) -> Part:
    """Race ours against the other loops, then see how the cost grows."""
    found = _find_clips(plan.quick)
    clips = found or [str(DEMO_CLIP)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sonostream-bench-")))
        job, fast = open_jobs(stack)
        card = open_card(stack, folder, plan.quick) if plan.device == "cuda" else Card()
        loops = _open_loops(job, fast) | dict(card.loops)
        note(f"replay: {len(loops)} loops take turns over {len(clips)} clips")
        laps = race(loops, job.engine, clips, plan.rounds)
        busy, no_busy = measure_busy(card, laps, clips)
        note("replay: how its cost grows")
        curves = tuple(measure_curves(job, plan, folder))
        replayed = measure_lengths(plan, folder) if plan.memory else {}
    rows = {row.name: row for row in _rows(laps)}
    return Part(
        name="replay",
        about=f"{len(clips)} clips, {job.engine.info}" + (f", {fast.engine.info}" if fast else ""),
        rows=(*rows.values(), *busy, *_figures(laps), *_memory(replayed)),
        ratios=(*_ratios(rows), *compare_loops(rows)),
        curves=(*curves, *(draw_lengths(replayed) if replayed else ())),
        skipped=(*_skipped(rows, plan), *card.skipped, *no_busy),
        lacks=() if found else (REAL_CLIPS,),
    )


def _find_clips(quick: bool) -> list[str]:
    found = [QUICK_CLIP] if quick else sorted(CLIPS.rglob("*"))
    return [str(path) for path in found if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]


def open_jobs(stack: ExitStack) -> tuple[Job, Job | None]:
    """Open our FP32 engine, and the fastest that was accepted where that is another one."""
    model, nursery = load_model(DEMO_MODEL), stack.enter_context(Nursery())
    jobs = []
    for want in (Wanted("openvino", "fp32"), Wanted("openvino")):
        chosen = choose_engine(model, open_cache(), want, console.warn)
        used = model_used(chosen, model, DEMO_MODEL)
        jobs.append(Job(chosen.engine, used, AnalysisConfig(), nursery=nursery))
    job, fast = jobs
    stack.enter_context(closing(job.engine))
    if fast.engine.info.precision == "fp32":
        fast.engine.close()
        return job, None
    stack.enter_context(closing(fast.engine))
    return job, fast


def _open_loops(job: Job, fast: Job | None) -> dict[str, Loop]:
    model, cores = job.engine.model, len(os.sched_getaffinity(0))
    loops = {
        OURS: our_loop(job),
        "eager": eager_loop(),
        "onnxruntime": onnxruntime_loop(model, cores),
        "openvino_queue": openvino_loop(model),
    }
    if fast:
        loops[FAST] = our_loop(fast)
        hint = "bf16" if fast.engine.info.precision == "bf16" else "f32"
        loops["fast_openvino_queue"] = openvino_loop(fast.engine.model, hint)
    return loops


def _rows(laps: Sequence[Lap]) -> Iterator[Row]:
    for name in laps[0].rates_hz:
        role: Role = "ours" if name.startswith(OURS) else "instead"
        yield _rate(name, role, [lap.rates_hz[name] for lap in laps])
    for name in laps[0].limits_hz():
        yield _rate(name, "limit", [lap.limits_hz()[name] for lap in laps])


def _rate(name: str, role: Role, values: Sequence[float]) -> Row:
    return Row(name=name, unit="frames/s", role=role, values=tuple(values))


def _ratios(rows: Mapping[str, Row]) -> Iterator[Ratio]:
    for name, (of, to) in RATIOS.items():
        if of in rows and to in rows:
            yield times_as_fast(name, rows[of], rows[to])


def _figures(laps: Sequence[Lap]) -> Iterator[Row]:
    """Yield the CPU of each stage, of two together, and of all else that we do."""
    for stage in laps[0].costs_s:
        yield _cpu_ms(stage, [lap.costs_s[stage] for lap in laps])
    both = [lap.costs_s["decode"] + lap.costs_s["preprocess"] for lap in laps]
    yield _cpu_ms("decode_and_preprocess", both)
    yield _cpu_ms("overhead", [lap.cpu_s[OURS] - lap.stages_s for lap in laps])


def _cpu_ms(what: str, values_s: Sequence[float]) -> Row:
    return Row(name=f"cpu_ms_{what}", unit="ms", values=tuple(value * 1e3 for value in values_s))


def _memory(replayed: Mapping[int, Replayed]) -> Iterator[Row]:
    """Yield the peak of the longest clip, and its growth from a minute to ten."""
    if not replayed:
        return
    yield figure("peak_over_engine_mib", max(one.over_engine_mib for one in replayed.values()))
    _, minute, ten = LENGTHS_S
    if ten in replayed:
        yield figure("growth_mib", replayed[ten].peak_mib - replayed[minute].peak_mib)


def _skipped(rows: Mapping[str, Row], plan: Plan) -> Iterator[Skipped]:
    yield from (Skipped(name, NO_FAST) for name, (of, _) in RATIOS.items() if of not in rows)
    if not plan.memory:
        yield from (Skipped(name, NO_MEMORY) for name in ("peak_over_engine_mib", "growth_mib"))
