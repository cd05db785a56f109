"""Tells frames that must not be believed, with the reason."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.spec import Gate
from stream.frame import State

BLACK = 24
FLAT_STD = 3.0
VIVID_CHROMA = 64
VIVID_SHARE = 0.5
STEP = 8


class GateAnswer(NamedTuple):
    """State of a frame and its reason, empty when the state is "ok"."""

    state: State
    reason: str


OK = GateAnswer("ok", "")


def check_pixels(model_input: NDArray[np.uint8]) -> GateAnswer:
    """Judge a picture before inference, on every eighth pixel of the model input.

    Parameters
    ----------
    model_input : shape (h, w, 3), uint8 RGB

    Returns
    -------
    "no_signal" for black, "uniform" for a flat field, "not_ultrasound" for a screen of vivid
    colours (B-mode is nearly grey; colour Doppler fills less than half of a frame).
    """
    sample = np.ascontiguousarray(model_input[::STEP, ::STEP])
    brightest = int(sample.max())
    if brightest < BLACK:
        return GateAnswer("no_signal", f"the picture is black: brightest value {brightest}")
    spread = float(sample.std())
    if spread < FLAT_STD:
        return GateAnswer("uniform", f"the picture is flat: standard deviation {spread:.1f}")
    red, green, blue = (sample[..., channel] for channel in range(3))
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    vivid = np.count_nonzero(chroma > VIVID_CHROMA) / chroma.size
    if vivid > VIVID_SHARE:
        return GateAnswer("not_ultrasound", f"{vivid:.0%} of the picture is vividly coloured")
    return OK


def check_features(
    features: NDArray[np.float32], gate: Gate | None
) -> tuple[GateAnswer, float | None]:
    """Judge a frame by the distance of its features to the training data.

    Returns
    -------
    The answer and the distance in units of the gate's limit, None where the model has no gate.
    """
    if gate is None:
        return OK, None
    distance = gate.distance(features)
    if distance <= 1:
        return OK, distance
    reason = f"not like the ultrasound this model knows: feature distance {distance:.2f} of 1"
    return GateAnswer("not_ultrasound", reason), distance
