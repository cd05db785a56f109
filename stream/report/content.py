"""What a report shows, gathered once; every format draws from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """One of the k frames that matter.

    Parameters
    ----------
    rank : 1 is the best
    seq : frame counter in the source
    time_s : place in the clip, or None when the source has no clock
    score, score_parts : the ranking score and what it is made of
    reason : why this frame, one sentence
    probs : shape (C,), calibrated
    shown_class : the class whose map is drawn
    image : (H, W) grey or (H, W, 3) RGB, uint8
    saliency : shape (H, W), in [0, 1]; 1 is the model's full scale, the same for the whole run
    explained : integrated gradients, shape (H, W), in [0, 1]; 1 is what one pixel in
        200 of all key frames reaches; None where they were not asked for
    """

    rank: int
    seq: int
    time_s: float | None
    score: float
    score_parts: Mapping[str, float]
    reason: str
    probs: NDArray[np.float32]
    shown_class: str
    image: NDArray[np.uint8]
    saliency: NDArray[np.float32]
    explained: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """One entry per frame, in order.

    Parameters
    ----------
    seq : shape (T,), int64
    time_s : shape (T,), seconds into the clip, or frame numbers when `has_time` is False
    has_time : whether the source had a clock
    probs : shape (T, C), NaN rows where the model did not answer
    smoothed : shape (T, C), NaN rows likewise
    label : smoothed label per frame; "uncertain" or "" where there is none
    state : "ok", "skipped", or why the frame was not believed
    """

    seq: NDArray[np.int64]
    time_s: NDArray[np.float64]
    has_time: bool
    probs: NDArray[np.float32]
    smoothed: NDArray[np.float32]
    label: tuple[str, ...]
    state: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """Everything a report shows.

    Parameters
    ----------
    clip_name : file name or phantom address, for people
    source : facts about the source, label to text
    classes, positive_class : from the model
    threshold : operating point on the probability of the positive class
    verdict_label : clip verdict; a class name or "uncertain"
    verdict_text : one sentence with the share of frames behind it
    verdict_share : share of valid frames that carry the verdict's label, in [0, 1]
    timeline, key_frames : see there; key frames in order of rank
    ledger : named counts; "grabbed" equals the sum of all others
    engine_warning : why the engine's answers are in doubt, or empty
    problems : one line each; empty for a clean input
    partial : True when frames of the input are missing or damaged
    provenance : digests, versions and settings, label to text
    disclaimer : the sentence that says what the software is not
    pixel_spacing_mm : row and column spacing of the key frames, in DICOM's order; None if unknown
    live : a live session, whose times count from its start
    working_copy : pictures and names are as they came, not to be handed on
    """

    clip_name: str
    source: Mapping[str, str]
    classes: tuple[str, ...]
    positive_class: str
    threshold: float
    verdict_label: str
    verdict_text: str
    verdict_share: float
    timeline: Timeline
    key_frames: tuple[KeyFrame, ...]
    ledger: Mapping[str, int]
    engine_warning: str
    problems: tuple[str, ...]
    partial: bool
    provenance: Mapping[str, str]
    disclaimer: str
    pixel_spacing_mm: tuple[float, float] | None = None
    live: bool = False
    working_copy: bool = False
