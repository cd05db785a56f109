"""From frame labels to one verdict about the clip, with the share of frames behind it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from engines.spec import ModelSpec
from stream.analysis.smooth import UNCERTAIN
from stream.config import AnalysisConfig


@dataclass(frozen=True, slots=True)
class Verdict:
    """The clip's label.

    Parameters
    ----------
    label : a class name, or "uncertain"
    share : of valid frames that carry the label, in [0, 1]
    valid, total : frames believed, frames grabbed
    text : one sentence for people
    """

    label: str
    share: float
    valid: int
    total: int
    text: str


def judge_clip(
    labels: Counter[str], total: int, spec: ModelSpec, config: AnalysisConfig
) -> Verdict:
    """Judge a clip by its frames' labels.

    The finding wins when at least `verdict_share` of the valid frames show it (it may be in view
    for part of a sweep only). Otherwise the most frequent label wins, "uncertain" included.

    Parameters
    ----------
    labels : smoothed label of each valid frame, counted
    total : frames grabbed
    """
    valid = labels.total()
    if not valid:
        return Verdict(UNCERTAIN, 0.0, 0, total, f"None of {total} frames could be judged.")
    positive = spec.positive_class
    if labels[positive] >= math.ceil(config.verdict_share * valid - 1e-9):
        label = positive
    else:
        rest = [UNCERTAIN, *(name for name in spec.classes if name != positive)]
        label = max(rest, key=lambda name: labels[name])
    share = labels[label] / valid
    text = (
        f"{label} in {labels[label]} of {valid} valid frames ({share:.0%}); {total} frames in all."
    )
    return Verdict(label, share, valid, total, text)
