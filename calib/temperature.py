"""One number that makes probabilities honest: the temperature, and how honest they are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

THRESHOLD_RULE = "largest Youden index of the positive class over {where}"
LIMITS = (0.05, 20.0)
BINS = 15

_GOLDEN = (math.sqrt(5) - 1) / 2


def soften(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return softmax(logits / temperature), shape (N, C), rows sum to 1."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def mean_surprise(
    logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float
) -> float:
    """Return the mean negative log-likelihood of the true classes, in nats."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    total = np.log(np.exp(scaled).sum(axis=1))
    return float((total - scaled[np.arange(len(labels)), labels]).mean())


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature that makes the labels least surprising.

    The surprise is convex over the inverse temperature, so a golden-section search finds its
    minimum.

    Parameters
    ----------
    logits : shape (N, C), of frames that the network was not trained on
    labels : shape (N,), class indices

    Returns
    -------
    within 0.05 and 20

    Raises
    ------
    ValueError
        If there is no frame, or logits are not finite.

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    if len(logits) == 0 or not np.isfinite(logits).all():
        raise ValueError(f"{len(logits)} frames of logits: expected one or more, all finite")
    low, high = 1.0 / LIMITS[1], 1.0 / LIMITS[0]
    while high - low > 1e-7 * high:
        inner = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        left, right = (mean_surprise(logits, labels, 1.0 / inverse) for inverse in inner)
        low, high = (low, inner[1]) if left <= right else (inner[0], high)
    return 2.0 / (low + high)


def calibration_error(probs: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the expected calibration error of the top class over 15 equal bins.

    Parameters
    ----------
    probs : shape (N, C)
    labels : shape (N,)

    Returns
    -------
    in 0..1: mean distance between confidence and accuracy, weighted by the frames in each bin

    References
    ----------
    Guo et al., ICML 2017, equation 3.
    """
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(labels))


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
    levels, place = np.unique(-scores, return_inverse=True)
    hits, false = (
        np.cumsum(np.bincount(place[truth], minlength=len(levels)))
        for truth in (positive, ~positive)
    )
    best = int(np.argmax(hits / hits[-1] - false / false[-1]))
    below = -levels[best + 1] if best + 1 < len(levels) else 0.0
    return float(np.clip((-levels[best] + below) / 2, 1e-3, 1 - 1e-3))
