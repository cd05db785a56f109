"""Figures of a classifier, each with an interval that resamples people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from train.scoring.scored import Scored
from train.scoring.weighted import Cases, Floats, weigh, weigh_calibration

DRAWS = 2000
LEVEL = 0.95
MANY_UNDEFINED = DRAWS // 20
CHUNK_CELLS = 1_000_000
OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "calibration_error", "brier")
OF_CLASS = ("precision", "recall", "specificity", "f1", "auroc", "auprc")


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A figure and its 95 % percentile bootstrap interval.

    Parameters
    ----------
    undefined : draws that the interval leaves out because nothing defined the figure in them
    """

    value: float
    low: float
    high: float
    undefined: int = 0

    def __str__(self) -> str:
        few = f"; {self.undefined} of {DRAWS} draws undefined"
        more = few if self.undefined > MANY_UNDEFINED else ""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}{more})"


class ClassFigures(msgspec.Struct, frozen=True):
    """Figures of one class against the rest; None where nothing defines them.

    Parameters
    ----------
    count : predictions whose truth it is
    recall : sensitivity, true positive rate
    specificity : recall of the rest
    auroc, auprc : areas under the ROC curve and (average precision) the precision-recall curve
    """

    count: int
    precision: Figure | None
    recall: Figure | None
    specificity: Figure | None
    f1: Figure | None
    auroc: Figure | None
    auprc: Figure | None


class Figures(msgspec.Struct, frozen=True):
    """All figures of one set of predictions; formulas and sources in `train.scoring.weighted`.

    Parameters
    ----------
    count, groups : predictions, and people behind them
    positive : name of the class whose figures are the model's sensitivity and specificity, or empty
    accuracy, balanced_accuracy, macro_f1 : over the classes that occur
    calibration_error, brier : of the probabilities; chance in a draw only adds to the first, so
        its interval leans upwards
    uncalibrated_error : calibration error without the temperature, None where that is not known
    per_class : by class name
    confusion : rows are the truth, columns the prediction
    """

    count: int
    groups: int
    positive: str
    accuracy: Figure
    balanced_accuracy: Figure
    macro_f1: Figure
    calibration_error: Figure
    brier: Figure
    uncalibrated_error: Figure | None
    per_class: dict[str, ClassFigures]
    confusion: list[list[int]]


def measure(scored: Scored, classes: Sequence[str], positive: str = "", seed: int = 0) -> Figures:
    """Return all figures of a set of predictions, whatever order they come in.

    Intervals are percentiles over 2000 draws of people with replacement; all predictions of a
    person are drawn together.

    Parameters
    ----------
    classes : names of the C classes
    positive : the class that matters, if one does

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    Field and Welsh, "Bootstrapping clustered data", J. R. Statist. Soc. B 69, 2007.
    """
    ordered = scored.in_order()
    names, people = np.unique(ordered.groups, return_inverse=True)
    cases = Cases(ordered.probs, ordered.labels, people)
    values = _weigh_both(cases, ordered.raw, np.ones((1, len(names))))
    drawn = _draw(cases, ordered.raw, len(names), seed)
    overall = {
        name: _figure(values[name][0], drawn[name]) for name in values if name not in OF_CLASS
    }
    return Figures(
        count=len(people),
        groups=len(names),
        positive=positive,
        **{name: overall[name] for name in OVERALL},
        uncalibrated_error=overall.get("uncalibrated_error"),
        per_class={
            label: _class_figures(values, drawn, place, int((cases.labels == place).sum()))
            for place, label in enumerate(classes)
        },
        confusion=count_confusion(cases.labels, cases.chosen, len(classes)).tolist(),
    )


def draw_people(people: int, rows: int, seed: int = 0) -> Iterator[Floats]:
    """Yield how often each person is in each of 2000 draws, shape (B, P), some draws at a time.

    Parameters
    ----------
    rows : numbers that the caller keeps per draw; bounds B, and with it the memory
    """
    rng = np.random.default_rng(seed)
    size = max(1, CHUNK_CELLS // max(rows, people))
    even = np.full(people, 1 / people)
    for start in range(0, DRAWS, size):
        yield rng.multinomial(people, even, min(size, DRAWS - start)).astype(np.float64)


def count_confusion(
    labels: NDArray[np.int64], chosen: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Return the (C, C) counts of truth (rows) against prediction (columns)."""
    cells = np.bincount(labels * count + chosen, minlength=count * count)
    return cells.reshape(count, count).astype(np.int64)


def _draw(cases: Cases, raw: Floats | None, people: int, seed: int) -> dict[str, Floats]:
    """Return every figure in each of 2000 draws."""
    drawn = draw_people(people, len(cases.labels), seed)
    parts = [_weigh_both(cases, raw, times) for times in drawn]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _weigh_both(cases: Cases, raw: Floats | None, times: Floats) -> dict[str, Floats]:
    """Return the figures, and the calibration error of the raw probabilities if there are any."""
    found = weigh(cases, times)
    if raw is not None:
        found["uncalibrated_error"] = weigh_calibration(replace(cases, probs=raw), times)
    return found


def _class_figures(
    values: dict[str, Floats], drawn: dict[str, Floats], place: int, count: int
) -> ClassFigures:
    found = {name: _figure(values[name][0, place], drawn[name][:, place]) for name in OF_CLASS}
    return ClassFigures(count=count, **found)


def _figure(value: np.float64, drawn: Floats) -> Figure | None:
    """Return a figure with its interval over the draws (B,) that define it; None for NaN."""
    if np.isnan(value):
        return None
    defined = drawn[~np.isnan(drawn)]
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(value), float(low), float(high), len(drawn) - len(defined))
