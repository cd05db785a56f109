"""Ranking scores: named, versioned, each with its parts. A changed formula gets a new name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.spec import ModelSpec
from stream.frame import Prediction


@dataclass(frozen=True, slots=True)
class Score:
    """A number in [0, 1] and the parts that it was made of."""

    value: float
    parts: Mapping[str, float]


def evidence_v1(prediction: Prediction, spec: ModelSpec) -> Score:
    """Score probability of the finding, up to a quarter less when its map is spread out.

    value = probability * (0.75 + 0.25 * focus)
    """
    probability, focus = _finding(prediction, spec)
    return Score(probability * (0.75 + 0.25 * focus), {"probability": probability, "focus": focus})


def doubt_v1(prediction: Prediction, spec: ModelSpec) -> Score:
    """Score closeness to the threshold: 1 on it, 0 at certainty; finds frames worth labelling."""
    probability, _ = _finding(prediction, spec)
    room = spec.threshold if probability < spec.threshold else 1 - spec.threshold
    doubt = 1 - abs(probability - spec.threshold) / room
    return Score(doubt, {"probability": probability, "doubt": doubt})


SCORES: Mapping[str, Callable[[Prediction, ModelSpec], Score]] = {
    "evidence-v1": evidence_v1,
    "doubt-v1": doubt_v1,
}


def map_focus(cam: NDArray[np.float32]) -> float:
    """Return 1 for a map on one cell, near 0 for an even one.

    One minus the participation ratio (sum m)^2 / (n sum m^2) of the map's positive part m.

    Parameters
    ----------
    cam : shape (h, w)
    """
    positive = np.maximum(cam, 0.0).astype(np.float64)
    power = float(np.vdot(positive, positive))
    if power == 0:
        return 0.0
    return 1.0 - float(positive.sum()) ** 2 / (positive.size * power)


def _finding(prediction: Prediction, spec: ModelSpec) -> tuple[float, float]:
    assert prediction.probs is not None and prediction.cam is not None
    index = spec.positive_index
    return float(prediction.probs[index]), map_focus(prediction.cam[index])
