"""Tells frames that must not be believed, with the reason."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.spec import Gate
from stream.frame import State

BLACK = 24
FLAT_STD = 3.0
FLAT_SPREAD, LIT_SHARE = 4, 0.05
"""From the 25th to the 95th percentile of what is brighter than `BLACK`, if there is so much.

The edge of a mask is darker than the field behind it. Of 19 real clips the least has 63.
"""
VIVID_CHROMA = 64
VIVID_SHARE = 0.5
SAMPLES = 28


class GateAnswer(NamedTuple):
    """State of a frame and its reason, empty when the state is "ok"."""

    state: State
    reason: str


OK = GateAnswer("ok", "")


def check_pixels(model_input: NDArray[np.uint8]) -> GateAnswer:
    """Judge a picture before inference, on a grid of about `SAMPLES` pixels a side.

    Parameters
    ----------
    model_input : shape (h, w, 3), uint8 RGB; the part that the picture fills, without bars

    Returns
    -------
    "no_signal" for black, "uniform" for a flat field, "not_ultrasound" for a screen of vivid
    colours (B-mode is nearly grey; colour Doppler fills less than half of a frame). A mask around
    the sector changes neither: what is wholly black does not count.
    """
    step = max(1, min(model_input.shape[:2]) // SAMPLES)
    sample = np.ascontiguousarray(model_input[::step, ::step]).reshape(-1, 3)
    red, green, blue = sample[:, 0], sample[:, 1], sample[:, 2]
    most = np.maximum(np.maximum(red, green), blue)
    upto: list[int] = np.bincount(most, minlength=256).cumsum().tolist()
    brightest = bisect_right(upto, most.size - 1)
    if brightest < BLACK:
        return GateAnswer("no_signal", f"the picture is black: brightest value {brightest}")
    spread = float(cv2.meanStdDev(sample.reshape(-1))[1].item())
    if spread < FLAT_STD:
        return GateAnswer("uniform", f"the picture is flat: standard deviation {spread:.1f}")
    chroma = most - np.minimum(np.minimum(red, green), blue)
    vivid = np.count_nonzero(chroma > VIVID_CHROMA) / (most.size - upto[0])
    if vivid > VIVID_SHARE:
        return GateAnswer("not_ultrasound", f"{vivid:.0%} of the picture is vividly coloured")
    if most.size - upto[BLACK - 1] >= LIT_SHARE * most.size:
        low, high = _quantile(upto, 0.25), _quantile(upto, 0.95)
        if high - low < FLAT_SPREAD:
            return GateAnswer("uniform", f"the picture is flat: from {low:.0f} to {high:.0f}")
    return OK


def _quantile(upto: list[int], share: float) -> float:
    """Return a quantile of the values from `BLACK` on, interpolated linearly.

    Parameters
    ----------
    upto : how many values there are up to each; where a place falls into it is the value there
    """
    index, part = divmod(share * (upto[-1] - upto[BLACK - 1] - 1), 1)
    place = upto[BLACK - 1] + int(index)
    low = bisect_right(upto, place)
    return low if part == 0 else low + part * (bisect_right(upto, place + 1) - low)


class FeatureGate:
    """Judges frames by the distance of their features to the training data.

    Parameters
    ----------
    gate : statistics of the model, or None to believe every frame
    """

    def __init__(self, gate: Gate | None) -> None:
        self._gate = gate
        if gate is not None:
            self._center = np.array(gate.center, np.float32)
            weight = gate.limit * math.sqrt(len(gate.scale))
            self._unit = np.array([1 / (scale * weight) for scale in gate.scale], np.float32)

    def check(self, features: NDArray[np.float32]) -> tuple[GateAnswer, float | None]:
        """Judge features (D,).

        Returns
        -------
        The answer, and the root mean square z-score in units of the gate's limit; None where the
        model has no gate.
        """
        if self._gate is None:
            return OK, None
        z = (features - self._center) * self._unit
        distance = math.sqrt(float(np.dot(z, z)))
        if distance <= 1:
            return OK, distance
        reason = f"not like the ultrasound this model knows: feature distance {distance:.2f} of 1"
        return GateAnswer("not_ultrasound", reason), distance
