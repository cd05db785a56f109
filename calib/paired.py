"""Changes of figures that need labels, each with an interval over resampled groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calib.temperature import BINS
from engines.sidecar import Figure

Floats = NDArray[np.float64]

DRAWS = 2000
_SEED = 0


def auroc_change(
    reference: Floats, found: Floats, truth: NDArray[np.bool_], groups: NDArray[np.int64]
) -> Figure:
    """Return the area under the ROC curve of `found` less that of `reference`.

    The area is the share of pairs of a positive and a negative frame that are in the right
    order, ties counted half. Pairs are counted per pair of groups once, so a draw of groups
    costs one product.

    Parameters
    ----------
    reference, found : shape (N,), scores of the same frames
    truth : shape (N,), with at least one frame of each kind
    groups : shape (N,), numbers from 0; frames of one group are drawn together

    Returns
    -------
    with a 95 % percentile interval over 2000 draws of groups

    References
    ----------
    Hanley and McNeil, Radiology 143, 1982; Field and Welsh, J. R. Statist. Soc. B 69, 2007.
    """
    count = int(groups.max()) + 1
    gain = _pairs_won(found, truth, groups, count) - _pairs_won(reference, truth, groups, count)
    sides = [np.bincount(groups[side], minlength=count) for side in (truth, ~truth)]

    def change(weights: Floats) -> Floats:
        pairs = (weights @ sides[0]) * (weights @ sides[1])
        won = ((weights @ gain) * weights).sum(axis=1)
        undefined = np.full(len(pairs), np.nan)
        return np.asarray(np.divide(won, pairs, out=undefined, where=pairs > 0))

    return _figure(change(np.ones((1, count))), change(_draw(count)), count)


def calibration_change(
    reference: Floats, found: Floats, labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> Figure:
    """Return the expected calibration error of `found` less that of `reference`.

    Parameters
    ----------
    reference, found : shape (N, C), probabilities of the same frames
    labels : shape (N,)
    groups : shape (N,), numbers from 0; frames of one group are drawn together

    Returns
    -------
    with a 95 % percentile interval over 2000 draws of groups

    References
    ----------
    Guo et al., ICML 2017, equation 3.
    """
    count = int(groups.max()) + 1
    gaps = [_gaps(probs, labels, groups, count) for probs in (reference, found)]
    sizes = np.bincount(groups, minlength=count)

    def change(weights: Floats) -> Floats:
        errors = [np.abs(weights @ gap).sum(axis=1) for gap in gaps]
        return np.asarray((errors[1] - errors[0]) / (weights @ sizes))

    return _figure(change(np.ones((1, count))), change(_draw(count)), count)


def _pairs_won(
    scores: Floats, truth: NDArray[np.bool_], groups: NDArray[np.int64], count: int
) -> Floats:
    """Return the pairs won by positives of each group (row) against negatives of each (column)."""
    won = np.zeros((count, count))
    for group in np.unique(groups[~truth]):
        rivals = np.sort(scores[~truth & (groups == group)])
        places = [np.searchsorted(rivals, scores[truth], side) for side in ("left", "right")]
        won[:, group] = np.bincount(groups[truth], (places[0] + places[1]) / 2, count)
    return won


def _gaps(
    probs: Floats, labels: NDArray[np.int64], groups: NDArray[np.int64], count: int
) -> Floats:
    """Return confidence less accuracy, summed by group and bin of confidence."""
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    sums = np.zeros((count, BINS))
    np.add.at(sums, (groups, bins), confidence - right)
    return sums


def _draw(count: int) -> Floats:
    """Return how often each of `count` groups is in each draw, shape (DRAWS, count)."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float64)


def _figure(value: Floats, drawn: Floats, count: int) -> Figure:
    """Return a figure with its interval; without one when a single group leaves nothing to draw."""
    if count < 2:
        return Figure(float(value[0]))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Figure(float(value[0]), float(low), float(high))
