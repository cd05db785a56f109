"""What a fitted model is told about itself: temperature, threshold, map scale and gate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.temperature import fit_temperature, soften
from engines.spec import Gate
from train.metrics import choose_threshold

SCALE_QUANTILE = 0.99
GATE_QUANTILE = 0.99
GATE_MARGIN = 1.5
FLOOR_SHARE = 0.1

THRESHOLD_RULE = "largest Youden index of the positive class over {where}"
GATE_RULE = (
    f"{GATE_MARGIN} times the {GATE_QUANTILE:.0%} quantile of the distance of {{where}}; "
    f"standard deviations floored at {FLOOR_SHARE:.0%} of their median"
)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What networks said about M frames that they were not trained on.

    Parameters
    ----------
    logits : shape (M, C)
    peaks : shape (M, C), maximum of each class map
    labels : shape (M,), class indices
    distances : feature distances to the training frames, in standard deviations
    where : what these frames are, in words
    """

    logits: NDArray[np.float32]
    peaks: NDArray[np.float32]
    labels: NDArray[np.int64]
    distances: NDArray[np.float64]
    where: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The numbers that turn outputs into statements; see `engines.spec.ModelSpec`."""

    temperature: float
    threshold: float
    threshold_rule: str
    cam_scale: tuple[float, ...]
    gate: Gate


def build_reference(held: Held, positive: int, features: NDArray[np.float32]) -> Reference:
    """Fit everything on held-out frames; only the gate's centre and scale see training frames.

    Parameters
    ----------
    positive : index of the positive class
    features : shape (M', K), of the training frames, by the model that is exported
    """
    temperature = fit_temperature(held.logits, held.labels)
    scores = soften(held.logits, temperature)[:, positive]
    center, scale = feature_statistics(features)
    limit = GATE_MARGIN * float(np.quantile(held.distances, GATE_QUANTILE))
    rule = GATE_RULE.format(where=held.where)
    return Reference(
        temperature,
        choose_threshold(scores, held.labels == positive),
        THRESHOLD_RULE.format(where=held.where),
        map_scale(held.peaks, held.labels),
        Gate(tuple(center.tolist()), tuple(scale.tolist()), limit, rule),
    )


def feature_statistics(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and floored standard deviation of features (M, K), shape (K,) each."""
    values = features.astype(np.float64)
    scale = values.std(axis=0)
    return values.mean(axis=0), np.maximum(scale, max(FLOOR_SHARE * float(np.median(scale)), 1e-6))


def feature_distance(
    features: NDArray[np.float32], statistics: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the root mean square z-score of features (M, K), shape (M,)."""
    center, scale = statistics
    return np.asarray(np.sqrt(np.mean(np.square((features - center) / scale), axis=1)))


def map_scale(peaks: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, ...]:
    """Return per class the 99 % quantile of map maxima over frames of that class.

    A class without held-out frames, or whose maps stay below zero, takes the largest scale of the
    others, so that its map is drawn faint rather than bright.
    """
    found = []
    for place in range(peaks.shape[1]):
        own = peaks[labels == place, place]
        found.append(float(np.quantile(own, SCALE_QUANTILE)) if len(own) else 0.0)
    fallback = max([value for value in found if value > 0], default=1.0)
    return tuple(value if value > 0 else fallback for value in found)
