"""What the overlay shows at one moment, as plain data; `stream.live.screen.screen` draws it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from engines.spec import ModelSpec
from stream.live.viewer.freshness import Banner

STRIP_S = 30.0
"""Length of the probability strip in seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The current result; a scene holds one only while the freshness rule allows it.

    Parameters
    ----------
    label : smoothed label: a class name, or "uncertain"
    probs : shape (C,), calibrated, of the newest frame
    smoothed : shape (C,), the average behind the label
    cam : shape (h, w), the positive class's map over its full scale, on the model input
    """

    label: str
    probs: NDArray[np.float32]
    smoothed: NDArray[np.float32]
    cam: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Probability of the positive class over the last `STRIP_S` seconds.

    Parameters
    ----------
    age_s : shape (T,), how long ago each point was captured, oldest first
    value : shape (T,), smoothed probability; NaN where there was no result, so the line breaks
    pinned_age_s : ages of pinned frames
    """

    age_s: NDArray[np.float64]
    value: NDArray[np.float32]
    pinned_age_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One key frame of the film strip: small RGB picture (h, w, 3), when, how likely."""

    image: NDArray[np.uint8]
    clock: str
    probability: float
    pinned: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything on the screen.

    Parameters
    ----------
    picture : newest frame, or the one that the user froze; None before the first
    spec : of the model, None until it is known
    verdict : None is "withdrawn": no class, no score, no saliency anywhere on the screen
    banners : the most important first
    strip, keys : history; shown with its times, so that it cannot be taken for now
    hud : label and value, in order, such as ("capture", "30.0 fps")
    tick : grows by one with each new frame drawn; moves the live mark
    heat : the heat map is on
    help : the list of keys is shown
    frozen : words over a picture that the user froze, such as "2.4 s ago", or empty
    recording : video is being recorded
    clock : wall time for people
    source : name of the source
    """

    picture: Pixels | None
    spec: ModelSpec | None
    verdict: Verdict | None
    banners: tuple[Banner, ...]
    strip: Strip
    keys: tuple[Key, ...]
    hud: tuple[tuple[str, str], ...]
    tick: int
    heat: bool
    help: bool
    frozen: str
    recording: bool
    clock: str
    source: str
