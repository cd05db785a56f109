"""Measures a model on labelled data nobody has seen. Imports no torch: a core install runs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from calib.temperature import soften
from engines.base import Engine, EngineOutput, run_frames
from engines.load import Model, load_model
from engines.open import open_engine
from engines.preprocess import to_model_input
from stream.errors import SourceError
from train.data.layout import PLAIN, Layout
from train.data.seen import Seen, find_seen
from train.data.table import SHOWN
from train.data.testset import Item, Truth, read_items, read_pictures
from train.scoring.metrics import Figures, measure
from train.scoring.scored import Scored

CHUNK = 64


class Evaluation(msgspec.Struct, frozen=True):
    """What a model achieved on a test set.

    Parameters
    ----------
    banner : warning that figures are of training data, empty when none of them is
    model, model_digest, engine, data : what was run, on what
    frames, clips, people : figures per frame, per clip and per person
    seen : measured frames that are in the model's training list, None when that cannot be told
    related : further frames of clips that are in it, None when that cannot be told
    origin : how that is known, in words
    ignored : left out, by unknown label
    problems : what was wrong with inputs that were still used
    """

    banner: str
    model: str
    model_digest: str
    engine: str
    data: list[str]
    frames: Figures
    clips: Figures
    people: Figures
    seen: int | None
    related: int | None
    origin: str
    ignored: dict[str, int]
    problems: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model answered to the frames of a test set, in an order of their own.

    Parameters
    ----------
    model, engine, data : what was run, on what
    truths : N frames in rising order
    scored : their probabilities with and without temperature, and truth
    features : shape (N, D), pooled embedding
    seen : which of them the model was trained on
    ignored : labels of what was left out
    problems : what was wrong with inputs
    """

    model: Model
    engine: str
    data: tuple[str, ...]
    truths: tuple[Truth, ...]
    scored: Scored
    features: NDArray[np.float32]
    seen: Seen
    ignored: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Collected:
    """Answers and truths, grown clip by clip."""

    logits: list[NDArray[np.float32]] = field(default_factory=list)
    features: list[NDArray[np.float32]] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, found: EngineOutput) -> None:
        self.logits.append(found.logits)
        self.features.append(found.features)


def evaluate_model(
    path: Path, data: Sequence[str], engine_name: str = "auto", ignore_unknown: bool = False
) -> Evaluation:
    """Run a model over a labelled test set and measure it; see `ask_model`."""
    return judge(ask_model(path, data, engine_name, ignore_unknown))


def ask_model(
    path: Path,
    data: Sequence[str],
    engine_name: str = "auto",
    ignore_unknown: bool = False,
    layout: Layout = PLAIN,
) -> Answers:
    """Run a model over a labelled test set.

    Parameters
    ----------
    data : tables, folders of labelled files, or phantom addresses
    ignore_unknown : leave out labels that the model does not know instead of refusing them
    layout : how labels are written in the data

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
    items, ignored = read_items(data, model.spec.classes, ignore_unknown, layout)
    engine = open_engine(model, engine_name)
    try:
        found = _collect(engine, items)
    finally:
        engine.close()
    order = sorted(range(len(found.truths)), key=found.truths.__getitem__)
    truths = tuple(found.truths[place] for place in order)
    return Answers(
        model=model,
        engine=str(engine.info),
        data=tuple(sorted(data)),
        truths=truths,
        scored=_score(model, np.concatenate(found.logits)[order], truths),
        features=np.concatenate(found.features)[order],
        seen=find_seen(path, model.spec.data_digest, truths),
        ignored=tuple(ignored),
        problems=tuple(sorted(found.problems)),
    )


def judge(answers: Answers) -> Evaluation:
    """Return the figures of a model's answers."""
    scored, seen, spec = answers.scored, answers.seen, answers.model.spec
    frames, clips, people = (
        measure(level, spec.classes, spec.positive_class)
        for level in (scored, scored.by_clip(), scored.by_person())
    )
    return Evaluation(
        banner=seen.banner,
        model=answers.model.name,
        model_digest=answers.model.digest,
        engine=answers.engine,
        data=list(answers.data),
        frames=frames,
        clips=clips,
        people=people,
        seen=None if seen.frames is None else sum(seen.frames),
        related=seen.related,
        origin=seen.origin,
        ignored=dict(Counter(answers.ignored)),
        problems=list(answers.problems),
    )


def _collect(engine: Engine, items: Iterable[Item]) -> _Collected:
    found = _Collected()
    spec = engine.model.spec
    waiting: list[NDArray[np.uint8]] = []
    for truth, pixels in read_pictures(items, spec.classes, found.problems):
        found.truths.append(truth)
        waiting.append(to_model_input(pixels, spec.input_wh, spec.fit))
        if len(waiting) == CHUNK:
            found.add(run_frames(engine, np.stack(waiting)))
            waiting.clear()
    if waiting:
        found.add(run_frames(engine, np.stack(waiting)))
    if not found.truths:
        problem = "no frame could be used: " + "; ".join(found.problems[:SHOWN])
        raise SourceError("test set", problem, "give readable labelled frames")
    return found


def _score(model: Model, logits: NDArray[np.float32], truths: Sequence[Truth]) -> Scored:
    """Return probabilities with and without temperature, with the truth of the frames."""
    raw, probs = (
        soften(logits, t)
        if model.spec.activation == "softmax"
        else 1 / (1 + np.exp(-np.asarray(logits, np.float64) / t))
        for t in (1.0, model.spec.temperature)
    )
    labels = np.array([truth.label for truth in truths], np.int64)
    return Scored(probs, labels, _name_people(truths), tuple(t.source for t in truths), raw)


def _name_people(truths: Sequence[Truth]) -> tuple[str, ...]:
    """Return who each frame is of; the same name in two folders is two people."""
    several = len({truth.place for truth in truths}) > 1
    return tuple(f"{t.place}: {t.group}" if several else t.group for t in truths)
