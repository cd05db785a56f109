"""What the current result says in words and numbers; the screen and the terminal show the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stream.analysis.smooth import UNCERTAIN
from stream.live.screen.scene import Scene

WITHDRAWN = "no current result"

Kind = Literal["finding", "other", "uncertain"]


@dataclass(frozen=True, slots=True)
class Reading:
    """The current result.

    Parameters
    ----------
    label : as smoothed over time
    kind : of the label: the positive class, another class, or neither
    finding : name of the positive class
    probability : of the finding, smoothed: what the label rests on
    newest : of the finding in the newest frame alone
    threshold : operating point
    band : probabilities between which the answer is "uncertain"
    """

    label: str
    kind: Kind
    finding: str
    probability: float
    newest: float
    threshold: float
    band: tuple[float, float]


def read_verdict(scene: Scene, margin: float) -> Reading | None:
    """Return what may be said now, None when there is no current result.

    A verdict that does not fit the model shown, or is not made of numbers, says nothing.

    Parameters
    ----------
    margin : half width of the uncertain band, see `stream.config.AnalysisConfig`
    """
    spec, verdict = scene.spec, scene.verdict
    if spec is None or verdict is None:
        return None
    for probs in (verdict.probs, verdict.smoothed):
        if probs.shape != (len(spec.classes),) or not np.isfinite(probs).all():
            return None
    if verdict.label not in (UNCERTAIN, *spec.classes):
        return None
    return Reading(
        verdict.label,
        _kind(verdict.label, spec.positive_class),
        spec.positive_class,
        float(verdict.smoothed[spec.positive_index]),
        float(verdict.probs[spec.positive_index]),
        spec.threshold,
        uncertain_band(spec.threshold, margin),
    )


def uncertain_band(threshold: float, margin: float) -> tuple[float, float]:
    """Return the band in which `stream.analysis.smooth.Smoother` decides for neither."""
    return max(threshold - margin, threshold / 2), min(threshold + margin, (threshold + 1) / 2)


def _kind(label: str, finding: str) -> Kind:
    if label == finding:
        return "finding"
    return "uncertain" if label == UNCERTAIN else "other"
