"""Figures of a classifier, each headline with an interval that resamples people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from calib.temperature import calibration_error

DRAWS = 2000
LEVEL = 0.95


class Figure(msgspec.Struct, frozen=True):
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class ClassFigures(msgspec.Struct, frozen=True):
    """Figures of one class against the rest; None where nothing defines them."""

    count: int
    precision: float | None
    recall: float | None
    f1: float | None
    auroc: float | None


class Figures(msgspec.Struct, frozen=True):
    """All figures of one set of predictions.

    Parameters
    ----------
    count, groups : predictions, and people behind them
    accuracy, balanced_accuracy, macro_f1 : over the classes that occur
    calibration_error : expected calibration error of `probs`
    per_class : by class name
    confusion : rows are the truth, columns the prediction
    """

    count: int
    groups: int
    accuracy: Figure
    balanced_accuracy: Figure
    macro_f1: Figure
    calibration_error: float
    per_class: dict[str, ClassFigures]
    confusion: list[list[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Predictions with their truth.

    Parameters
    ----------
    probs : shape (N, C), calibrated
    labels : shape (N,), class indices
    groups : N names of people
    sources : N names of clips
    """

    probs: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: tuple[str, ...]
    sources: tuple[str, ...]

    def by_clip(self) -> Scored:
        """Return one prediction per clip and label: the mean of its frames' probabilities."""
        keys = list(zip(self.sources, self.labels.tolist(), self.groups, strict=True))
        clips = sorted(set(keys))
        place = {clip: number for number, clip in enumerate(clips)}
        rows = np.array([place[key] for key in keys])
        sums = np.zeros((len(clips), self.probs.shape[1]))
        np.add.at(sums, rows, self.probs)
        means = sums / np.bincount(rows)[:, None]
        sources, labels, groups = zip(*clips, strict=True)
        return Scored(means, np.array(labels, np.int64), groups, sources)

    def where(self, chosen: NDArray[np.bool_]) -> Scored:
        """Return the predictions that `chosen` (N,) marks."""
        rows = np.flatnonzero(chosen)
        return Scored(
            self.probs[rows],
            self.labels[rows],
            tuple(self.groups[row] for row in rows),
            tuple(self.sources[row] for row in rows),
        )


def measure(scored: Scored, classes: Sequence[str], seed: int = 0) -> Figures:
    """Return all figures of a set of predictions."""
    count = len(classes)
    chosen = scored.probs.argmax(axis=1)
    confusion = count_confusion(scored.labels, chosen, count)
    drawn = _resample(scored, chosen, count, seed)
    intervals = np.quantile(
        np.stack([headline(c) for c in drawn]), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0
    )
    accuracy, balanced, f1 = (
        Figure(*map(float, row)) for row in zip(headline(confusion), *intervals, strict=True)
    )
    return Figures(
        count=len(chosen),
        groups=len(set(scored.groups)),
        accuracy=accuracy,
        balanced_accuracy=balanced,
        macro_f1=f1,
        calibration_error=calibration_error(scored.probs, scored.labels),
        per_class={
            name: _class_figures(scored, confusion, place) for place, name in enumerate(classes)
        },
        confusion=confusion.tolist(),
    )


def count_confusion(
    labels: NDArray[np.int64], chosen: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Return the (C, C) counts of truth (rows) against prediction (columns)."""
    return (
        np.bincount(labels * count + chosen, minlength=count * count)
        .reshape(count, count)
        .astype(np.int64)
    )


def headline(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return accuracy, balanced accuracy and macro F1 over the classes that occur in the truth."""
    right, truth, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    there = truth > 0
    recall = right[there] / truth[there]
    f1 = 2 * right[there] / (truth[there] + said[there])
    return np.array([right.sum() / truth.sum(), recall.mean(), f1.mean()])


def _resample(
    scored: Scored, chosen: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """Return the confusion counts of 2000 draws of people, with replacement, shape (B, C, C)."""
    names = sorted(set(scored.groups))
    place = {name: number for number, name in enumerate(names)}
    group = np.array([place[name] for name in scored.groups])
    cells = np.zeros((len(names), count * count), np.int64)
    np.add.at(cells, (group, scored.labels * count + chosen), 1)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    return (times @ cells).reshape(DRAWS, count, count)


def _class_figures(scored: Scored, confusion: NDArray[np.int64], place: int) -> ClassFigures:
    right, truth, said = (
        int(v) for v in (confusion[place, place], confusion[place].sum(), confusion[:, place].sum())
    )
    return ClassFigures(
        truth,
        right / said if said else None,
        right / truth if truth else None,
        2 * right / (truth + said) if truth + said else None,
        auroc(scored.probs[:, place], scored.labels == place),
    )


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve, None when one side is empty."""
    from sklearn.metrics import roc_auc_score

    if positive.all() or not positive.any():
        return None
    return float(roc_auc_score(positive, scores))


def choose_threshold(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the score with the largest Youden index, sensitivity + specificity - 1.

    The threshold lies half-way between that score and the next lower one; 0.5 when one side is
    empty.

    Parameters
    ----------
    scores : shape (N,), probability of the positive class
    positive : shape (N,), truth

    References
    ----------
    Youden, "Index for rating diagnostic tests", Cancer 3(1), 1950.
    """
    if positive.all() or not positive.any():
        return 0.5
    levels = np.unique(scores)[::-1]
    order = np.argsort(-scores, kind="stable")
    ends = np.searchsorted(-scores[order], -levels, side="right")
    hits, false = np.cumsum(positive[order])[ends - 1], np.cumsum(~positive[order])[ends - 1]
    best = int(np.argmax(hits / positive.sum() - false / (~positive).sum()))
    below = levels[best + 1] if best + 1 < len(levels) else 0.0
    return float(np.clip((levels[best] + below) / 2, 1e-3, 1 - 1e-3))
