"""Ranking scores: named, versioned, each with its parts. A changed formula gets a new name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engines.preprocess import Placement, cut_cam
from engines.spec import ModelSpec
from stream.errors import UsageError
from stream.frame import Prediction


@dataclass(frozen=True, slots=True)
class Score:
    """A number in [0, 1] and the parts that it was made of."""

    value: float
    parts: Mapping[str, float]


def evidence_v1(prediction: Prediction, spec: ModelSpec, where: Placement) -> Score:
    """Score probability of the finding, up to half less where its map is faint.

    value = probability * (0.5 + 0.5 * strength), strength being the map's peak on the model's
    scale. Probabilities saturate near 1; strength still tells a clear view from a marginal one.
    """
    probability = _probability(prediction, spec)
    strength = map_strength(prediction, spec, where)
    parts = {"probability": probability, "strength": strength}
    return Score(probability * (0.5 + 0.5 * strength), parts)


def doubt_v1(prediction: Prediction, spec: ModelSpec, where: Placement) -> Score:
    """Score closeness to the threshold: 1 on it, 0 at certainty; finds frames worth labelling."""
    probability = _probability(prediction, spec)
    room = spec.threshold if probability < spec.threshold else 1 - spec.threshold
    doubt = 1 - abs(probability - spec.threshold) / room
    return Score(doubt, {"probability": probability, "doubt": doubt})


SCORES: Mapping[str, Callable[[Prediction, ModelSpec, Placement], Score]] = {
    "evidence-v1": evidence_v1,
    "doubt-v1": doubt_v1,
}


def find_score(name: str) -> Callable[[Prediction, ModelSpec, Placement], Score]:
    """Return the score of that name.

    Raises
    ------
    UsageError
        C06 if there is none.
    """
    if name not in SCORES:
        raise UsageError(f"score {name!r}", "unknown", f"one of: {', '.join(SCORES)}", fault="C06")
    return SCORES[name]


def map_strength(prediction: Prediction, spec: ModelSpec, where: Placement) -> float:
    """Return the peak of the finding's map over the picture, on the model's scale, in [0, 1]."""
    assert prediction.cam is not None
    index = spec.positive_index
    peak = float(cut_cam(prediction.cam[index], where).max())
    return min(1.0, max(0.0, peak / spec.cam_scale[index]))


def _probability(prediction: Prediction, spec: ModelSpec) -> float:
    assert prediction.probs is not None
    return float(prediction.probs[spec.positive_index])
