"""How the cost of replay grows with frame size, clip length, classes, key frames and batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from time import thread_time

import cv2
import numpy as np

from benchmarks.cpu_time import family_cpu_s
from benchmarks.engine_turns import Turns, draw_noise, take_turns
from benchmarks.loops import read_bgr
from benchmarks.memory import make_long_clip
from benchmarks.plan import Plan
from benchmarks.replay_child import Replayed, replay_apart
from benchmarks.replay_race import our_loop
from benchmarks.replay_stages import stage_costs
from benchmarks.result import Curve, Point
from benchmarks.wide_model import make_wide
from engines.base import Engine
from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from engines.options import Batch, EngineOptions
from stream.analysis.analyser import Analyser
from stream.analysis.track import Tracker
from stream.config import AnalysisConfig
from stream.frame import Frame, FrameId, Prediction
from stream.job import Job
from stream.replay_command import DEMO_CLIP
from stream.sources.encode import write_video
from stream.sources.video import open_video

CPU_MS = "CPU ms a frame"
WIDTHS_PX, QUICK_WIDTHS_PX = (160, 320, 640, 1280, 1920, 3840), (160, 640, 1920)
SIZED_FRAMES = 40
LENGTHS_S, QUICK_LENGTHS_S = (8, 64, 600), (8, 16)
CLASSES, QUICK_CLASSES = (2, 10, 100, 1000), (2, 1000)
KEPT, QUICK_KEPT = (1, 5, 20, 50, 100), (1, 5, 100)
BATCHES, QUICK_BATCHES = (1, 2, 4, 8, 16), (1, 4, 16)
BATCH_S, QUICK_BATCH_S = 0.5, 0.15


def measure_curves(job: Job, plan: Plan, folder: Path) -> Iterator[Curve]:
    """Yield every curve but those of the clip's length.

    Parameters
    ----------
    job : engine and nursery
    folder : for clips and models
    """
    yield from _sizes(job, QUICK_WIDTHS_PX if plan.quick else WIDTHS_PX, folder)
    yield _classes(job, QUICK_CLASSES if plan.quick else CLASSES, folder)
    yield _kept(job.engine, QUICK_KEPT if plan.quick else KEPT)
    yield _batches(plan)


def measure_lengths(plan: Plan, folder: Path) -> dict[int, Replayed]:
    """Replay clips of several lengths, in seconds, each in a process of its own."""
    lengths_s = QUICK_LENGTHS_S if plan.quick else LENGTHS_S
    return {
        length_s: replay_apart(make_long_clip(folder, length_s), folder / f"out{length_s}")
        for length_s in lengths_s
    }


def draw_lengths(replayed: Mapping[int, Replayed]) -> tuple[Curve, ...]:
    """Return speed and memory over the length of the clip."""
    x = "length of the clip, s"
    rates = tuple(Point(length, (one.frames_hz,)) for length, one in replayed.items())
    peaks = tuple(Point(length, (one.over_engine_mib,)) for length, one in replayed.items())
    return (
        Curve(name="clip length, speed", x=x, y="frames/s, report included", points=rates),
        Curve(name="clip length, memory", x=x, y="peak MiB above the engine", points=peaks),
    )


def _sizes(job: Job, widths_px: tuple[int, ...], folder: Path) -> Iterator[Curve]:
    """Yield CPU of a whole replay, and of its stages alone, by the width of 4 to 3 pictures."""
    lines: dict[str, list[Point]] = {}
    for width in widths_px:
        clip = str(_resized(folder, width))
        costs = stage_costs(job.engine, [clip])
        for name, cost_s in {"whole": _whole_cost_s(job, clip), **costs}.items():
            lines.setdefault(name, []).append(Point(width, (cost_s * 1e3,)))
    for name, points in lines.items():
        x = "width of the frames, px"
        yield Curve(name="frame size", line=name, x=x, y=CPU_MS, points=tuple(points))


def _resized(folder: Path, width: int) -> Path:
    """Write the first frames of the bundled clip at another size."""
    path, size_wh = folder / f"width{width}.mp4", (width, width * 3 // 4)
    images = (
        cv2.resize(image_bgr[..., ::-1], size_wh).astype(np.uint8, copy=False)
        for image_bgr in islice(read_bgr([str(DEMO_CLIP)]), SIZED_FRAMES)
    )
    write_video(path, images, 25.0)
    return path


def _whole_cost_s(job: Job, clip: str) -> float:
    run, began_s = our_loop(job), family_cpu_s()
    frames = run([clip])
    return (family_cpu_s() - began_s) / frames


def _classes(job: Job, numbers: tuple[int, ...], folder: Path) -> Curve:
    """Return CPU of a whole replay by the number of classes, each of which has a map."""
    points = []
    for classes in numbers:
        with closing(open_engine(make_wide(classes, folder), "openvino")) as engine:
            wide = replace(job, engine=engine)
            points.append(Point(classes, (_whole_cost_s(wide, str(DEMO_CLIP)) * 1e3,)))
    return Curve(name="classes", x="classes", y=CPU_MS, points=tuple(points))


def _kept(engine: Engine, numbers: tuple[int, ...]) -> Curve:
    """Return CPU of smoothing and ranking alone by the number of key frames; replay allows 20."""
    answers = list(_answers(engine))
    points = []
    for kept in numbers:
        tracker = Tracker(engine.model.spec, AnalysisConfig(top_k=kept))
        began_s = thread_time()
        for frame, prediction in answers:
            tracker.update(frame, prediction)
        points.append(Point(kept, ((thread_time() - began_s) / len(answers) * 1e3,)))
    return Curve(name="key frames kept", x="k", y="CPU ms a frame, ranking", points=tuple(points))


def _answers(engine: Engine) -> Iterator[tuple[Frame, Prediction]]:
    reader = open_video(str(DEMO_CLIP))
    frames = (
        Frame(FrameId("bench", 0, seq), picture.pixels, 0, seq * 40_000_000, "demo")
        for picture, seq in zip(reader.pictures(), count(), strict=False)
    )
    yield from Analyser(engine).run(frames)
    reader.close()


def _batches(plan: Plan) -> Curve:
    """Return the rate of the engine alone by the frames of one run."""
    model = load_model(DEMO_MODEL)
    sizes, seconds = (QUICK_BATCHES, QUICK_BATCH_S) if plan.quick else (BATCHES, BATCH_S)
    runners = []
    for size in sizes:
        options = EngineOptions("fp32", Batch(size, size, size), "throughput")
        noise = draw_noise(model.spec.input_wh, size)
        runners.append((open_engine(model, "openvino", options), noise))
    timings = take_turns(runners, Turns(plan.rounds, seconds))
    for engine, _ in runners:
        engine.close()
    points = (Point(n, tuple(t.rates_hz)) for n, t in zip(sizes, timings, strict=True))
    return Curve(name="batch", x="frames a run", y="frames/s, engine alone", points=tuple(points))
