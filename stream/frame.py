"""The two data that travel everywhere: a frame and the prediction made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels

State = Literal[
    "ok",
    "no_signal",
    "uniform",
    "not_ultrasound",
    "damaged",
    "failed_infer",
    "skipped",
    "withdrawn",
]


class FrameId(NamedTuple):
    """Identity: `seq` counts grabbed frames, `epoch` grows at each reopen or format change."""

    session: str
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One captured frame.

    Parameters
    ----------
    id : identity; a gap in `seq` is a drop
    pixels : the picture as decoded
    captured_ns : monotonic clock at capture
    pts_ns : place in the clip, or None when the source has no clock
    source : name of the source for people
    damage : why the picture cannot be trusted, or None
    model_input : shape (h, w, 3), uint8 RGB, where the reader made it beside the picture
    """

    id: FrameId
    pixels: Pixels
    captured_ns: int
    pts_ns: int | None
    source: str
    damage: str | None = None
    model_input: NDArray[np.uint8] | None = None

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture, converted now: (H, W, 3) RGB or (H, W) grey, uint8."""
        return self.pixels.to_image()


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Nanoseconds spent on one frame, by stage."""

    preprocess_ns: int
    engine_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the model said about one frame.

    Parameters
    ----------
    id : identity of its frame
    state : "ok", or why the frame must not be believed
    reason : the state's cause in words, empty when "ok"
    probs : shape (C,), float32, calibrated; None when the engine did not answer
    cam : shape (C, h, w), float32 class maps, or None
    features : shape (D,), float32 pooled embedding, or None
    distance : feature distance to the training data in units of the gate's limit, or None
    times : time spent by stage
    model_digest : sha256 of the model file
    """

    id: FrameId
    state: State
    reason: str
    probs: NDArray[np.float32] | None
    cam: NDArray[np.float32] | None
    features: NDArray[np.float32] | None
    distance: float | None
    times: StageTimes
    model_digest: str
