"""Ranking scores: named, versioned, each with its parts. A changed formula gets a new name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engines.spec import ModelSpec
from stream.frame import Prediction


@dataclass(frozen=True, slots=True)
class Score:
    """A number in [0, 1] and the parts that it was made of."""

    value: float
    parts: Mapping[str, float]


def evidence_v1(prediction: Prediction, spec: ModelSpec) -> Score:
    """Score probability of the finding, up to half less where its map is faint.

    value = probability * (0.5 + 0.5 * strength), strength being the map's peak on the model's
    scale. Probabilities saturate near 1; strength still tells a clear view from a marginal one.
    """
    probability = _probability(prediction, spec)
    strength = map_strength(prediction, spec)
    parts = {"probability": probability, "strength": strength}
    return Score(probability * (0.5 + 0.5 * strength), parts)


def doubt_v1(prediction: Prediction, spec: ModelSpec) -> Score:
    """Score closeness to the threshold: 1 on it, 0 at certainty; finds frames worth labelling."""
    probability = _probability(prediction, spec)
    room = spec.threshold if probability < spec.threshold else 1 - spec.threshold
    doubt = 1 - abs(probability - spec.threshold) / room
    return Score(doubt, {"probability": probability, "doubt": doubt})


SCORES: Mapping[str, Callable[[Prediction, ModelSpec], Score]] = {
    "evidence-v1": evidence_v1,
    "doubt-v1": doubt_v1,
}


def map_strength(prediction: Prediction, spec: ModelSpec) -> float:
    """Return the peak of the finding's map as a share of the model's full scale, in [0, 1]."""
    assert prediction.cam is not None
    index = spec.positive_index
    return min(1.0, max(0.0, float(prediction.cam[index].max()) / spec.cam_scale[index]))


def _probability(prediction: Prediction, spec: ModelSpec) -> float:
    assert prediction.probs is not None
    return float(prediction.probs[spec.positive_index])
