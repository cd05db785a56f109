"""Figures of predictions under weights per person: one row of weights gives one draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.temperature import BINS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Predictions, their truth and who they are of.

    Parameters
    ----------
    probs : shape (N, C)
    labels : shape (N,), class indices
    people : shape (N,), numbers of people from 0 to P - 1
    """

    probs: Floats
    labels: NDArray[np.int64]
    people: NDArray[np.int64]

    @property
    def chosen(self) -> NDArray[np.int64]:
        """The predicted class of each, the first of equals, shape (N,)."""
        return self.probs.argmax(axis=1).astype(np.int64)

    def per_person(self, cells: NDArray[np.int64], values: Floats, count: int) -> Floats:
        """Return the sums of `values` (N,) by person and cell, shape (P, count)."""
        sums = np.zeros((int(self.people.max()) + 1, count))
        np.add.at(sums, (self.people, cells), values)
        return sums


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Cases in falling order of a score, equal scores taken together.

    Parameters
    ----------
    order : shape (N,), places of the cases
    ends : shape (K,), place in `order` of the last case of each distinct score
    positive : shape (N,), truth in `order`
    levels : shape (K,), the distinct scores, falling
    """

    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    positive: NDArray[np.bool_]
    levels: Floats

    def count(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weight of true and of false alarms at each score.

        Parameters
        ----------
        weights : shape (B, N)

        Returns
        -------
        two arrays of shape (B, K)
        """
        ordered = weights[:, self.order]
        hits = np.cumsum(ordered * self.positive, axis=1)[:, self.ends]
        return hits, np.cumsum(ordered, axis=1)[:, self.ends] - hits


def rank(scores: Floats, positive: NDArray[np.bool_]) -> Ranking:
    """Return the ranking of cases by their score (N,)."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    return Ranking(order, ends, positive[order], ordered[ends])


def area_under_roc(hits: Floats, false: Floats) -> Floats:
    """Return the area under the ROC curve, (B,); NaN where one side is empty.

    It is the probability that a positive case scores higher than a negative one, ties counted
    half (Hanley and McNeil, Radiology 143, 1982).

    Parameters
    ----------
    hits, false : shape (B, K), as from `Ranking.count`
    """
    steps = np.diff(false, axis=1, prepend=0.0)
    before = np.concatenate([np.zeros((len(hits), 1)), hits[:, :-1]], axis=1)
    area = (steps * (hits + before)).sum(axis=1) / 2
    return share(area, hits[:, -1] * false[:, -1])


def area_under_pr(hits: Floats, false: Floats) -> Floats:
    """Return the average precision, (B,); NaN where one side is empty.

    Precision at each score, weighted by the recall gained there, without interpolation (Davis and
    Goadrich, ICML 2006, say why not to interpolate).

    Parameters
    ----------
    hits, false : shape (B, K), as from `Ranking.count`
    """
    gains = np.diff(hits, axis=1, prepend=0.0)
    precision = np.nan_to_num(share(hits, hits + false))
    found = share((gains * precision).sum(axis=1), hits[:, -1])
    return np.where(false[:, -1] > 0, found, np.nan)


def share(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where the whole is nothing."""
    empty = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.divide(part, whole, out=empty, where=whole > 0)


def weigh_confusion(cells: Floats) -> dict[str, Floats]:
    """Return the figures of weighted confusion tables.

    Parameters
    ----------
    cells : shape (B, C, C), rows are the truth

    Returns
    -------
    accuracy, balanced_accuracy, macro_f1 : shape (B,), means over the classes that occur
    precision, recall, specificity, f1 : shape (B, C), NaN where undefined

    References
    ----------
    Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010.
    van Rijsbergen, "Information Retrieval", 1979, chapter 7, for F.
    Opitz and Burst, "Macro F1 and Macro F1", 2019: the mean of the classes' F1.
    """
    right, truth, said = np.diagonal(cells, axis1=1, axis2=2), cells.sum(axis=2), cells.sum(axis=1)
    total = truth.sum(axis=1, keepdims=True)
    recall, f1 = share(right, truth), share(2 * right, truth + said)
    there = truth > 0
    return {
        "accuracy": right.sum(axis=1) / total[:, 0],
        "balanced_accuracy": np.nansum(recall, axis=1) / there.sum(axis=1),
        "macro_f1": np.where(there, f1, 0).sum(axis=1) / there.sum(axis=1),
        "precision": share(right, said),
        "recall": recall,
        "specificity": share(total - truth - said + right, total - truth),
        "f1": f1,
    }


def weigh(cases: Cases, times: Floats) -> dict[str, Floats]:
    """Return every figure when each person counts as many times as said.

    Parameters
    ----------
    times : shape (B, P), whole numbers

    Returns
    -------
    those of `weigh_confusion`, and
    calibration_error, brier : shape (B,)
    auroc, auprc : shape (B, C), NaN where undefined

    References
    ----------
    Brier, Monthly Weather Review 78, 1950: squared distance between probabilities and truth,
    summed over classes; for two classes halved, which is the usual (p - y)^2.
    """
    count = cases.probs.shape[1]
    ones = np.ones(len(cases.labels))
    cells = times @ cases.per_person(cases.labels * count + cases.chosen, ones, count * count)
    distance = ((cases.probs - np.eye(count)[cases.labels]) ** 2).sum(axis=1)
    halved = distance / 2 if count == 2 else distance
    brier = times @ cases.per_person(np.zeros_like(cases.labels), halved, 1)
    return {
        **weigh_confusion(cells.reshape(-1, count, count)),
        "calibration_error": weigh_calibration(cases, times),
        "brier": brier[:, 0] / cells.sum(axis=1),
        **_weigh_areas(cases, times),
    }


def weigh_calibration(cases: Cases, times: Floats) -> Floats:
    """Return the expected calibration error of the top class over 15 bins, shape (B,).

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    confidence, right = cases.probs.max(axis=1), cases.chosen == cases.labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = times @ cases.per_person(bins, confidence - right, BINS)
    counts = times @ np.bincount(cases.people, minlength=times.shape[1])
    return np.abs(gaps).sum(axis=1) / counts


def _weigh_areas(cases: Cases, times: Floats) -> dict[str, Floats]:
    weights = times[:, cases.people]
    curves = [
        rank(scores, cases.labels == place).count(weights)
        for place, scores in enumerate(cases.probs.T)
    ]
    return {
        "auroc": np.stack([area_under_roc(*curve) for curve in curves], axis=1),
        "auprc": np.stack([area_under_pr(*curve) for curve in curves], axis=1),
    }
