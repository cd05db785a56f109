"""Plain colours as held-out frames: the tiny model calls them red or blue."""

import numpy as np

from calib.frames import FrameSet
from tests.tiny_model import BIAS, SIZE, WEIGHT


def make_colours(count=64, people=16, seed=0):
    """Return frames of random colours; the label is right for all but every eighth."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 3)).astype(np.uint8)
    labels = (colours / 255 @ WEIGHT.T + BIAS).argmax(axis=1)
    labels[::8] = 1 - labels[::8]
    return FrameSet(
        inputs=np.broadcast_to(colours[:, None, None], (count, SIZE, SIZE, 3)).copy(),
        names=tuple(f"colour {number}" for number in range(count)),
        groups=tuple(f"person {number % people}" for number in range(count)),
        times_s=np.full(count, np.nan),
        labels=labels.astype(np.int64),
        origin="plain colours",
    )
