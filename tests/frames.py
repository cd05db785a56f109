"""Builders of frames and predictions for tests of the analysis."""

import numpy as np

from engines.pixels import Pixels
from stream.frame import Frame, FrameId, Prediction, StageTimes


def make_frame(seq, *, image=None, pts_ns="clock", damage=None, epoch=0):
    """Return a frame; 40 ms apart unless told."""
    image = np.full((64, 64), seq % 256, np.uint8) if image is None else image
    pts_ns = seq * 40_000_000 if pts_ns == "clock" else pts_ns
    return Frame(FrameId("s", epoch, seq), Pixels((image,)), seq, pts_ns, "test", damage)


def make_prediction(seq, red, *, features=None, state="ok", cam=None):
    """Return a prediction of the tiny model's two classes with probability `red`."""
    return Prediction(
        id=FrameId("s", 0, seq),
        state=state,
        reason="",
        probs=np.array([1 - red, red], np.float32),
        cam=np.ones((2, 4, 4), np.float32) if cam is None else cam,
        features=np.eye(1, 64, seq % 64, dtype=np.float32)[0] if features is None else features,
        distance=None,
        times=StageTimes(0, 0),
        model_digest="",
    )
