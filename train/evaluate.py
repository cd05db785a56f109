"""Measures a model on labelled data nobody has seen. Imports no torch: a core install runs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from calib.temperature import calibration_error, soften
from engines.base import Engine, run_frames
from engines.load import load_model
from engines.open import open_engine
from engines.preprocess import to_model_input
from stream.errors import SourceError
from train.metrics import Figures, Scored, measure
from train.report import INTERVALS, draw_classes, draw_table, write_file
from train.table import SHOWN
from train.testset import Item, Truth, read_items, read_pictures

CHUNK = 64


class Evaluation(msgspec.Struct, frozen=True):
    """What a model achieved on a test set.

    Parameters
    ----------
    model, model_digest, engine, data : what was run, on what
    frames, clips : figures per frame and per clip
    uncalibrated_error : calibration error per frame without the temperature
    ignored : left out, by unknown label
    problems : what was wrong with inputs that were still used
    """

    model: str
    model_digest: str
    engine: str
    data: list[str]
    frames: Figures
    clips: Figures
    uncalibrated_error: float
    ignored: dict[str, int]
    problems: list[str]


@dataclass(slots=True, eq=False)
class _Collected:
    """Answers and truths, grown clip by clip."""

    logits: list[NDArray[np.float32]]
    truths: list[Truth]
    problems: list[str]


def evaluate_model(
    path: Path, data: Sequence[str], engine_name: str = "auto", ignore_unknown: bool = False
) -> Evaluation:
    """Run a model over a labelled test set.

    Parameters
    ----------
    data : tables, folders of class-named folders, or phantom addresses
    ignore_unknown : leave out labels that the model does not know instead of refusing them

    Raises
    ------
    EngineError
        If the model cannot be used.
    UsageError
        If the data is not labelled usably (C01 to C03).
    SourceError
        If an input cannot be decoded.
    """
    model = load_model(path)
    items, ignored = read_items(data, model.spec.classes, ignore_unknown)
    engine = open_engine(model, engine_name)
    try:
        found = _collect(engine, items)
    finally:
        engine.close()
    logits = np.concatenate(found.logits)
    raw, scored = (_score(soften(logits, t), found.truths) for t in (1.0, model.spec.temperature))
    return Evaluation(
        model=path.name,
        model_digest=model.digest,
        engine=str(engine.info),
        data=list(data),
        frames=measure(scored, model.spec.classes),
        clips=measure(scored.by_clip(), model.spec.classes),
        uncalibrated_error=calibration_error(raw.probs, raw.labels),
        ignored=dict(Counter(ignored)),
        problems=found.problems,
    )


def draw_evaluation(found: Evaluation) -> str:
    """Return the evaluation as Markdown."""
    lines = [
        f"# {found.model} on {', '.join(found.data)}",
        "",
        f"{found.engine}; model sha256 {found.model_digest}. {INTERVALS}",
        "",
        draw_table({"frames": found.frames, "clips": found.clips}),
        "",
        draw_classes({"frame": found.frames, "clip": found.clips}),
        "",
        f"Calibration error {found.uncalibrated_error:.3f} before, "
        f"{found.frames.calibration_error:.3f} after temperature.",
    ]
    if found.ignored:
        lines.append(
            "Left out: "
            + ", ".join(f"{count} {label}" for label, count in found.ignored.items())
            + "."
        )
    return "\n".join(lines + found.problems) + "\n"


def write_evaluation(found: Evaluation, folder: Path) -> None:
    """Write evaluation.json and evaluation.md.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    write_file(
        folder / "evaluation.json", msgspec.json.format(msgspec.json.encode(found), indent=2)
    )
    write_file(folder / "evaluation.md", draw_evaluation(found).encode())


def _collect(engine: Engine, items: Iterable[Item]) -> _Collected:
    found = _Collected([], [], [])
    spec = engine.model.spec
    waiting: list[NDArray[np.uint8]] = []
    for truth, pixels in read_pictures(items, spec.classes, found.problems):
        found.truths.append(truth)
        waiting.append(to_model_input(pixels, spec.input_wh, spec.fit))
        if len(waiting) == CHUNK:
            found.logits.append(run_frames(engine, np.stack(waiting)).logits)
            waiting.clear()
    if waiting:
        found.logits.append(run_frames(engine, np.stack(waiting)).logits)
    if not found.truths:
        problem = "no frame could be used: " + "; ".join(found.problems[:SHOWN])
        raise SourceError("test set", problem, "give readable labelled frames")
    return found


def _score(probs: NDArray[np.float64], truths: Sequence[Truth]) -> Scored:
    labels = np.array([truth.label for truth in truths], np.int64)
    return Scored(probs, labels, tuple(t.group for t in truths), tuple(t.source for t in truths))
