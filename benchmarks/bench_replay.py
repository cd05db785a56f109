"""Replay speed, as ratios in one run: against what a user would write, and against the limit.

The limit is what the cores could do if nothing but decoding, preprocessing and the engine cost
anything: cores / (CPU seconds per frame of those three, each measured alone).
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loops import Loop, eager_loop, onnxruntime_loop, openvino_loop
from benchmarks.machine import describe_machine
from benchmarks.memory import measure_growth
from engines.base import Engine, run_frames
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from engines.open import DEMO_MODEL
from engines.pixels import Pixels
from engines.preprocess import to_model_input
from stream import console
from stream.config import AnalysisConfig
from stream.job import Job, model_used
from stream.replay import record_clip
from stream.replay_command import DEMO_CLIP
from stream.sources.nursery import Nursery
from stream.sources.video import open_video

CLIPS = Path("../shared/data/clips")
LUNG = Path("../shared/data/pocus_lung/videos/convex")
NAMES = (
    CLIPS / "clarius-ocular-short.mp4",
    CLIPS / "butterfly-ocular-phantom.mp4",
    LUNG / "Cov-Atlas-suspectedCovid.mp4",
    LUNG / "Cov_convex_volpecelli_sonographic_v1.mov",
    LUNG / "Reg_Avi_lung-sliding.MP4",
    LUNG / "Reg_northumbria_0409_set5_vid2.avi",
)
BUDGETS = Path(__file__).with_name("budgets.toml")


def bench(*, rounds: int, out: Path, memory: bool) -> int:
    """Measure replay (journal on, report off) and print ratios; exits 1 when a budget is missed.

    Parameters
    ----------
    rounds
        Interleaved repetitions; the median counts.
    out
        JSON file to write.
    memory
        Also measure how peak memory grows from a clip of one minute to one of ten.
    """
    clips = [str(path) for path in NAMES if path.is_file()] or [str(DEMO_CLIP)]
    model = load_model(DEMO_MODEL)
    cores = len(os.sched_getaffinity(0))
    chosen = choose_engine(model, open_cache(), Wanted("openvino", "fp32"), console.warn)
    engine, used = chosen.engine, model_used(chosen, model, DEMO_MODEL)
    try:
        with Nursery() as nursery:
            loops: dict[str, Loop] = {
                "sonostream": _our_loop(Job(engine, used, AnalysisConfig(), nursery=nursery)),
                "eager": eager_loop(),
                "onnxruntime": onnxruntime_loop(model, cores),
                "openvino_queue": openvino_loop(model),
            }
            rates = _race(loops, clips, rounds)
        costs = _stage_costs(engine, clips)
    finally:
        engine.close()
    limit_hz = cores / sum(costs.values())
    result = {
        "bench": "replay",
        "machine": describe_machine(),
        "clips": [Path(clip).name for clip in clips],
        "rounds": rounds,
        "fps": {name: statistics.median(values) for name, values in rates.items()},
        "fps_min_max": {name: (min(values), max(values)) for name, values in rates.items()},
        "cpu_ms_per_frame": {name: cost * 1e3 for name, cost in costs.items()},
        "limit_fps": limit_hz,
        "ratios": _ratios(rates, limit_hz),
        "memory": measure_growth() if memory else None,
    }
    missed = _missed(result)
    _publish(result, missed, out)
    return 1 if missed else 0


def _our_loop(job: Job) -> Loop:
    def run(path: str) -> int:
        frames = 0

        def count(_source: object) -> None:
            nonlocal frames
            frames += 1

        with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as folder:
            record_clip(path, job, Path(folder), count)
        return frames

    return run


def _race(loops: dict[str, Loop], clips: list[str], rounds: int) -> dict[str, list[float]]:
    """Return frames per second over all clips, by loop and round, after a first clip to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop(clips[0])
    for _ in range(rounds):
        for name, loop in loops.items():
            began_ns = time.perf_counter_ns()
            frames = sum(loop(clip) for clip in clips)
            rates[name].append(frames / ((time.perf_counter_ns() - began_ns) * 1e-9))
    return rates


def _ratios(rates: dict[str, list[float]], limit_hz: float) -> dict[str, float]:
    """Return the median over rounds of our rate against each other loop's in the same round."""
    ours = rates["sonostream"]
    ratios = {
        f"over_{name}": statistics.median(a / b for a, b in zip(ours, values, strict=True))
        for name, values in rates.items()
        if name != "sonostream"
    }
    return ratios | {"of_limit": statistics.median(ours) / limit_hz}


def _stage_costs(engine: Engine, clips: list[str]) -> dict[str, float]:
    """Return CPU seconds per frame of each stage alone, over all frames of the clips."""
    decode_s = _cpu_s(lambda: [None for clip in clips for _ in _decode(clip)])
    prepare_s, inputs = 0.0, []
    spec = engine.model.spec
    for clip in clips:
        for pixels in _decode(clip):
            began_s = time.thread_time()
            inputs.append(to_model_input(pixels, spec.input_wh, spec.fit))
            prepare_s += time.thread_time() - began_s
    frames = np.stack(inputs[:: max(1, len(inputs) // 300)])
    run_frames(engine, frames)
    engine_s = _cpu_s(lambda: run_frames(engine, frames))
    return {
        "decode": decode_s / len(inputs),
        "preprocess": prepare_s / len(inputs),
        "engine": engine_s / len(frames),
    }


def _decode(clip: str) -> Iterator[Pixels]:
    reader = open_video(clip)
    try:
        for picture in reader.pictures():
            yield picture.pixels
    finally:
        reader.close()


def _cpu_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def _missed(result: dict[str, Any]) -> list[str]:
    budgets = tomllib.loads(BUDGETS.read_text())["replay"]
    figures = result["ratios"] | (result["memory"] or {})
    return [
        f"{name} is {figures[name]:.2f}, wanted {kind.replace('_', ' ')} {bound}"
        for kind, bounds in budgets.items()
        for name, bound in bounds.items()
        if name in figures
        and (figures[name] < bound if kind == "at_least" else figures[name] > bound)
    ]


def _publish(result: dict[str, Any], missed: list[str], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    rows = []
    for name, rate_hz in result["fps"].items():
        low, high = result["fps_min_max"][name]
        ratio = result["ratios"].get(f"over_{name}")
        ours = f"{ratio:.2f} x" if ratio else ""
        rows.append((name, f"{rate_hz:.0f}", f"{low:.0f} to {high:.0f}", ours))
    share = f"{result['ratios']['of_limit']:.0%} reached"
    rows.append(("limit", f"{result['limit_fps']:.0f}", "", share))
    title = f"Replay, {len(result['clips'])} clips, {result['machine']['processor']}"
    console.show_table(title, ("loop", "fps", "min to max", "ours is"), rows)
    for name, value in {**result["cpu_ms_per_frame"], **(result["memory"] or {})}.items():
        console.say(f"{name}: {value:.2f}")
    for line in missed:
        console.warn(f"budget missed: {line}")
    console.say(f"figures: {out}")
