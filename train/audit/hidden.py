"""What a random split hides: copies on both sides, and how well mere memory does."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from train.audit.copies import Copy
from train.audit.shots import Shots
from train.data.samples import regroup

TEST_SHARE = 0.2
SEEDS = 10
MOST = 4000
"""Frames whose nearest neighbours are looked up; more are thinned out at random."""


class Score(msgspec.Struct, frozen=True):
    """Accuracy and balanced accuracy, means over seeds."""

    accuracy: float
    balanced_accuracy: float


class Hidden(msgspec.Struct, frozen=True):
    """What a random 20 % test part would not show.

    Parameters
    ----------
    groups : clusters of frames joined by copies, and where known by clip and person
    largest : frames in the largest cluster
    share_with_copy : expected share of test frames with a copy in training
    random_split, group_split : nearest neighbour in training by thumbnail, frames drawn one by
        one against whole clusters
    majority : share of the most frequent class
    frames : how many frames the neighbours were looked up among
    """

    groups: int
    largest: int
    share_with_copy: float
    random_split: Score
    group_split: Score
    majority: float
    frames: int


def estimate_hidden(shots: Shots, copies: Sequence[Copy]) -> Hidden | None:
    """Return the estimate, or None when there are too few frames, classes or clusters for it."""
    joined = regroup(shots.samples, [(copy.a, copy.b) for copy in copies])
    _, clusters = np.unique([sample.group for sample in joined], return_inverse=True)
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(clusters))[:MOST])
    labels, units = shots.labels[chosen], clusters[chosen]
    _, sizes = np.unique(units, return_counts=True)
    if len(set(labels.tolist())) < 2 or sizes.min() > TEST_SHARE * len(chosen):
        return None
    near = shots.vectors[chosen] @ shots.vectors[chosen].T
    return Hidden(
        groups=int(clusters.max()) + 1,
        largest=int(np.bincount(clusters).max()),
        share_with_copy=share_with_copy(len(shots.samples), copies),
        random_split=_score(near, labels, np.arange(len(labels)), rng),
        group_split=_score(near, labels, units, rng),
        majority=float(np.bincount(labels).max() / len(labels)),
        frames=len(labels),
    )


def share_with_copy(count: int, copies: Sequence[Copy]) -> float:
    """Return the expected share of frames of a random test part with a copy in training.

    A test frame with d copies has none in training only when all d are drawn into the test part
    as well: for a part of n of N frames the product over k < d of (n - 1 - k) / (N - 1 - k).
    """
    degrees = np.bincount([place for copy in copies for place in copy[:2]], minlength=count)
    tested = round(TEST_SHARE * count)
    steps = np.arange(int(degrees.max(initial=0)))
    alone = np.cumprod(np.clip((tested - 1 - steps) / np.maximum(count - 1 - steps, 1), 0, None))
    none = np.concatenate([[1.0], alone])[degrees]
    return float(1 - none.mean()) if count else 0.0


def _score(
    near: NDArray[np.float32],
    labels: NDArray[np.int64],
    units: NDArray[np.int64],
    rng: np.random.Generator,
) -> Score:
    """Test the nearest neighbour on a fifth of the frames, whole units of them, several times."""
    scores = [_once(near, labels, _draw(units, rng)) for _ in range(SEEDS)]
    accuracy, balanced = np.mean(scores, axis=0).tolist()
    return Score(accuracy, balanced)


def _draw(units: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which frames are tested: units in random order, as long as a fifth has room."""
    sizes = np.bincount(units)
    tested = np.zeros(len(sizes), np.bool_)
    room = TEST_SHARE * len(units)
    for unit in rng.permutation(len(sizes)):
        if 0 < sizes[unit] <= room:
            tested[unit] = True
            room -= sizes[unit]
    return tested[units]


def _once(
    near: NDArray[np.float32], labels: NDArray[np.int64], tested: NDArray[np.bool_]
) -> tuple[float, float]:
    found = labels[~tested][near[np.ix_(tested, ~tested)].argmax(axis=1)]
    right, truth = found == labels[tested], labels[tested]
    return float(right.mean()), float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))
