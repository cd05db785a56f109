"""Chooses calibration frames that cover what there is, and frames held out from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.frames import FrameSet
from engines.base import EngineOutput
from engines.spec import ModelSpec
from stream.analysis.gate import FeatureGate, check_pixels

CLUSTERS = 32
TIMES = 4
RARE = 4
"""Frames wanted of each kind that is no ordinary picture: dark, flat, without contact."""
DARK_NOISE = 6

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """What there is to cover, for N frames.

    Parameters
    ----------
    clip, kind, time, cluster, state : shape (N,), numbers from 0: group, class (the label, or
        what the model answers), quarter of the clip, cluster of the features, state of the gate
        (0 for an ordinary picture)
    """

    clip: Places
    kind: Places
    time: Places
    cluster: Places
    state: Places

    def take(self, places: Places) -> Traits:
        """Return the traits of the frames at `places`."""
        columns = (self.clip, self.kind, self.time, self.cluster, self.state)
        return Traits(*(column[places] for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Calibration frames.

    Parameters
    ----------
    frames : in the order in which they were chosen
    reasons : why each was chosen
    """

    frames: FrameSet
    reasons: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return one line per frame: digest, label, group, name, reason; tab-separated."""
        rows = zip(self.frames.lines(), self.reasons, strict=True)
        return ["\t".join(row) for row in rows]

    def digest(self) -> str:
        """Return the sha256 of `lines`, as the INT8 model's metadata name it."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()


def find_traits(frames: FrameSet, answers: EngineOutput, spec: ModelSpec, seed: int) -> Traits:
    """Describe frames by clip, class, time, features and state.

    Parameters
    ----------
    answers : of the float32 model to these frames
    """
    kind = np.where(frames.labels >= 0, frames.labels, answers.logits.argmax(axis=1))
    clip = np.unique(np.array(frames.groups), return_inverse=True)[1].astype(np.int64)
    gate = FeatureGate(spec.gate)
    states = []
    for picture, features in zip(frames.inputs, answers.features, strict=True):
        seen = check_pixels(picture).state
        states.append(gate.check(features)[0].state if seen == "ok" else seen)
    names = ["ok", *sorted({*states} - {"ok"})]
    return Traits(
        clip=clip,
        kind=kind.astype(np.int64),
        time=_quarters(clip, frames.times_s),
        cluster=_cluster(answers.features, seed),
        state=np.array([names.index(state) for state in states], np.int64),
    )


def hold_out(traits: Traits, seed: int) -> tuple[Places, Places]:
    """Split frames into those to calibrate with and those to measure with, by whole groups.

    Groups are drawn per class, by turns for calibration and for measuring, so both sides see each
    class that has two groups. A single group is not split: the second side is then empty.
    """
    groups = np.random.default_rng(seed).permutation(np.unique(traits.clip))
    queues: dict[int, list[int]] = {}
    for group in groups.tolist():
        main = int(np.bincount(traits.kind[traits.clip == group]).argmax())
        queues.setdefault(main, []).append(group)
    held = [group for queue in queues.values() for group in queue[1::2]]
    outside = np.isin(traits.clip, held or groups[1::2])
    return np.flatnonzero(~outside).astype(np.int64), np.flatnonzero(outside).astype(np.int64)


def choose_places(traits: Traits, count: int, seed: int) -> tuple[Places, tuple[str, ...]]:
    """Choose frames one by one, each for what is covered least so far.

    As long as `count` allows, every clip gets a frame first and every rare state four. Then a
    frame's worth is the sum of 1 / (1 + frames chosen already) over its clip, class, quarter of
    the clip and cluster; the reason is the largest part. Equal ones are drawn.

    Parameters
    ----------
    count : of frames wanted; all are chosen when there are fewer

    Returns
    -------
    places, and why each was chosen
    """
    columns = {
        "clip": traits.clip,
        "class": traits.kind,
        "time": traits.time,
        "features": traits.cluster,
    }
    tallies = {name: np.zeros(int(column.max()) + 1) for name, column in columns.items()}
    states = np.zeros(int(traits.state.max()) + 1)
    luck = np.random.default_rng(seed).random(len(traits.clip)) * 1e-6
    free = np.ones(len(traits.clip), np.bool_)
    places: list[int] = []
    reasons = []
    while len(places) < min(count, len(free)):
        parts = {name: 1 / (1 + tallies[name][column]) for name, column in columns.items()}
        rare = (traits.state > 0) & (states[traits.state] < RARE)
        first = 8.0 * (tallies["clip"][traits.clip] == 0) + 16.0 * rare
        worth = sum(parts.values()) + first + luck
        best = int(np.argmax(np.where(free, worth, -1.0)))
        part = max(parts, key=lambda name: float(parts[name][best]))
        reasons.append("rare state" if rare[best] else part)
        places.append(best)
        free[best] = False
        states[traits.state[best]] += 1
        for name, column in columns.items():
            tallies[name][column[best]] += 1
    return np.array(places, np.int64), tuple(reasons)


def choose_frames(frames: FrameSet, traits: Traits, count: int, seed: int) -> Chosen:
    """Choose calibration frames; two dark ones are made where none is dark.

    Parameters
    ----------
    frames, traits : what may be used for calibration
    """
    places, reasons = choose_places(traits, count, seed)
    chosen = frames.take(places)
    if any(check_pixels(picture).state == "no_signal" for picture in chosen.inputs):
        return Chosen(chosen, reasons)
    made = _dark_frames(frames.inputs.shape[1:], seed)
    with_dark = FrameSet(
        np.concatenate([chosen.inputs, made]),
        (*chosen.names, "black", "black with noise"),
        (*chosen.groups, "made", "made"),
        np.concatenate([chosen.times_s, np.full(2, np.nan)]),
        np.concatenate([chosen.labels, np.full(2, -1, np.int64)]),
        chosen.origin,
    )
    return Chosen(with_dark, (*reasons, "made: no frame is dark", "made: no frame is dark"))


def _dark_frames(shape: tuple[int, ...], seed: int) -> NDArray[np.uint8]:
    """Return a black frame and one of faint grey noise, shape (2, h, w, 3)."""
    noise = np.random.default_rng(seed).integers(0, DARK_NOISE, (*shape[:2], 1), np.uint8)
    return np.stack([np.zeros(shape, np.uint8), np.broadcast_to(noise, shape)])


def _quarters(clip: Places, times_s: NDArray[np.float64]) -> Places:
    """Return which quarter of its clip each frame is in; 0 where it has no time."""
    quarters = np.zeros(len(clip), np.int64)
    for group in np.unique(clip):
        here = np.flatnonzero((clip == group) & ~np.isnan(times_s))
        if len(here):
            since = times_s[here] - times_s[here].min()
            share = since / max(float(since.max()), 1e-9)
            quarters[here] = np.minimum((share * TIMES).astype(np.int64), TIMES - 1)
    return quarters


def _cluster(features: NDArray[np.float32], seed: int) -> Places:
    """Return the cluster of each feature vector (N, D), each feature over its spread."""
    from sklearn.cluster import KMeans

    scaled = features / np.maximum(features.std(axis=0), 1e-6)
    count = min(CLUSTERS, len(np.unique(scaled, axis=0)))
    return np.asarray(KMeans(count, n_init=4, random_state=seed).fit_predict(scaled), np.int64)
