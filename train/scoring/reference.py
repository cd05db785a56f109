"""What a fitted model is told about itself: temperature, threshold and map scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.temperature import THRESHOLD_RULE, choose_threshold, fit_temperature, soften
from engines.spec import Gate

SCALE_QUANTILE = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What networks said about M frames that they were not trained on.

    Parameters
    ----------
    logits : shape (M, C)
    peaks : shape (M, C), maximum of each class map
    labels : shape (M,), class indices
    where : what these frames are, in words
    """

    logits: NDArray[np.float32]
    peaks: NDArray[np.float32]
    labels: NDArray[np.int64]
    where: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The numbers that turn outputs into statements; see `engines.spec.ModelSpec`."""

    temperature: float
    threshold: float
    threshold_rule: str
    cam_scale: tuple[float, ...]
    gate: Gate


def build_reference(held: Held, positive: int, gate: Gate) -> Reference:
    """Fit temperature, threshold and map scale on held-out frames.

    Parameters
    ----------
    positive : index of the positive class
    """
    temperature = fit_temperature(held.logits, held.labels)
    scores = soften(held.logits, temperature)[:, positive]
    return Reference(
        temperature,
        choose_threshold(scores, held.labels == positive),
        THRESHOLD_RULE.format(where=held.where),
        map_scale(held.peaks, held.labels),
        gate,
    )


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
