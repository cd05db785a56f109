"""Replay on an NVIDIA card in half precision, beside the loops that torch's user would write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engine_rows import OFFERED, TRACER, Row, find_obstacle
from benchmarks.engine_subjects import SHIPPED, usual_path, usual_recipe
from benchmarks.loops import Loop, read_bgr, small_rgb
from benchmarks.replay_race import Lap, our_loop
from benchmarks.result import Ratio, Skipped, times_as_fast
from benchmarks.result import Row as ResultRow
from benchmarks.show import note
from engines.build import build_engine
from engines.cache import open_cache
from engines.choose import Chosen
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.options import EngineOptions, Precision
from stream.config import AnalysisConfig
from stream.job import Job, model_used
from stream.sources.nursery import Nursery

LABELS, QUICK_LABELS = (SHIPPED, "densenet121"), (SHIPPED,)
HALF: Precision = "fp16"
# The preferred one of ours first.
BACKENDS = tuple(
    name
    for name, precisions in OFFERED.items()
    if HALF in precisions and Row(name, HALF, "throughput", 1).device == "cuda"
)
OURS = "sonostream"
"""How the names of our own loops begin."""
BUSY = "GPU busy"


@dataclass(frozen=True, slots=True)
class Card:
    """What can run on the card of this machine, and what cannot; neither, of a run for the CPU.

    Parameters
    ----------
    loops : by name
    """

    loops: Mapping[str, Loop] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()


def open_card(stack: ExitStack, folder: Path, quick: bool) -> Card:
    """Open an engine of ours on each runtime, and torch's own ways, for each model.

    Parameters
    ----------
    stack : closes them
    folder : for models of random weights
    quick : the shipped model only
    """
    obstacles = {name: find_obstacle(name, "cuda") for name in BACKENDS}
    skipped = [Skipped(f"{name} {HALF}", why) for name, why in obstacles.items() if why]
    usable = [name for name, why in obstacles.items() if not why]
    loops: dict[str, Loop] = {}
    for label in (QUICK_LABELS if quick else LABELS) if usable else ():
        path = usual_path(label, folder)
        for backend in usable:
            name = name_loop(backend, label)
            note(f"replay: opening {name}")
            try:
                if _is_torch(backend):
                    loops[name] = _torch_loop(backend, label, load_model(path), stack)
                else:
                    loops[name] = our_loop(_open_job(backend, path, stack))
            except EngineError as error:
                skipped.append(Skipped(name, error.problem))
    return Card(loops, tuple(skipped))


def name_loop(backend: str, label: str) -> str:
    """Return the name of a loop; that of one of ours begins with `OURS`."""
    name = f"{backend} {HALF}, {label}"
    return name if _is_torch(backend) else f"{OURS}, {name}"


def measure_busy(
    card: Card, laps: Sequence[Lap], clips: Sequence[str]
) -> tuple[list[ResultRow], list[Skipped]]:
    """Return the share of time in which each loop keeps the card at work, traced on a clip."""
    rows, skipped = list[ResultRow](), list[Skipped]()
    if card.loops and (obstacle := find_obstacle(TRACER, "cuda")):
        return [], [Skipped(BUSY, obstacle)]
    for name, loop in card.loops.items():
        from benchmarks.gpu_card import trace_device_s

        try:
            spent_s = trace_device_s(partial(loop, clips[:1]))
        except EngineError as error:
            skipped.append(Skipped(f"{name}, {BUSY}", error.problem))
            continue
        shares = tuple(spent_s * lap.rates_hz[name] for lap in laps)
        rows.append(ResultRow(name=f"{name}, {BUSY}", unit="of the time", values=shares))
    return rows, skipped


def compare_loops(rows: Mapping[str, ResultRow]) -> Iterator[Ratio]:
    """Yield how many times as fast ours, on the preferred runtime, is as each way of torch."""
    for label in LABELS:
        names = [name for name in (name_loop(one, label) for one in BACKENDS) if name in rows]
        ours = [name for name in names if name.startswith(OURS)][:1]
        for mine, other in product(ours, [name for name in names if not name.startswith(OURS)]):
            yield times_as_fast(f"{mine} over {other}", rows[mine], rows[other])


def _is_torch(backend: str) -> bool:
    return Row(backend, HALF, "throughput", 1).is_torch


def _open_job(backend: str, path: Path, stack: ExitStack) -> Job:
    """Compile a model afresh; no gate judges it, as its speed alone counts."""
    model = load_model(path)
    cache = open_cache(Path(stack.enter_context(TemporaryDirectory(prefix="sonostream-bench-"))))
    built = build_engine(model, backend, EngineOptions(HALF), cache, note)
    stack.enter_context(closing(built.engine))
    chosen = Chosen(built.engine, built.probe, "forced", "benchmark", built.entry.sidecar)
    used, nursery = model_used(chosen, model, path), stack.enter_context(Nursery())
    return Job(built.engine, used, AnalysisConfig(), nursery=nursery)


def _torch_loop(backend: str, label: str, model: Model, stack: ExitStack) -> Loop:
    """Return the plain loop: OpenCV, area resize, the network on the card, frame by frame."""
    from benchmarks.engine_torch import open_torch

    runner = stack.enter_context(closing(open_torch(usual_recipe(label), backend, 1)))

    def run(paths: Sequence[str]) -> int:
        frames = 0
        for image_bgr in read_bgr(paths):
            runner.submit(small_rgb(image_bgr, model)[None]).result()
            frames += 1
        return frames

    return run
