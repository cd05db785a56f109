"""The acceptance gate: whether an engine gives the answers of the float32 reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calib.frames import FrameSet
from calib.limits import judge
from calib.paired import auroc_change, calibration_change
from engines.base import Engine, EngineOutput, run_frames
from engines.errors import EngineError
from engines.load import Model
from engines.sidecar import Figure, Verdict
from engines.spec import ModelSpec

Floats = NDArray[np.float64]

TOP = 5
TIE = 1e-3
"""Probabilities this close are equal: a tenth of the last digit that a report shows."""
FAINT = 0.01
"""Share of a map's full intensity that nobody sees: two or three of 255 grey levels."""
MOST_SNR_DB = 150.0
"""About float32's own rounding; given where nothing differs."""


def gate(engine: Engine, reference: Engine, frames: FrameSet) -> Verdict:
    """Compare an engine with the float32 reference on held-out frames.

    Parameters
    ----------
    engine : the engine in question
    reference : ONNX Runtime with the float32 model
    frames : none of which calibrated the engine

    Returns
    -------
    accepted when every limit of `calib.limits` is kept; an engine that fails or answers NaN is
    rejected with that as the reason

    Raises
    ------
    EngineError
        M08 if the engine's model was not made from the reference, M07 if their contracts differ,
        or if the reference itself fails.
    """
    _check_kinship(engine.model, reference.model)
    return judge_engine(engine, reference.model, run_frames(reference, frames.inputs), frames)


def judge_engine(
    engine: Engine, reference: Model, wanted: EngineOutput, frames: FrameSet
) -> Verdict:
    """Do what `gate` does, given what the reference answers to the frames.

    Parameters
    ----------
    reference : the float32 model, which the engine's model was made from
    wanted : the reference's answers
    """
    try:
        found = run_frames(engine, frames.inputs)
        figures = measure_agreement(wanted, found, frames, (reference.spec, engine.model.spec))
        missed = judge(figures)
    except EngineError as error:
        figures, missed = {}, (f"the engine failed: {error.problem}",)
    return Verdict(
        accepted=not missed,
        reference_digest=reference.digest,
        frames=len(frames),
        frames_digest=frames.digest(),
        frames_from=frames.origin,
        figures=figures,
        missed=missed,
    )


def measure_agreement(
    reference: EngineOutput,
    found: EngineOutput,
    frames: FrameSet,
    specs: tuple[ModelSpec, ModelSpec],
) -> dict[str, Figure]:
    """Return what differs between two engines' answers to the same N frames.

    Parameters
    ----------
    reference, found : answers of the float32 reference and of the engine in question
    frames : the frames; labels of -1 count in no figure that needs labels
    specs : contract of the reference and of the engine in question; a threshold or temperature
        fitted again after quantisation is used where it belongs

    Returns
    -------
    distinct_frames : how many of the frames differ from each other
    top1_agreement : share of frames with the same top class
    prob_change_max, prob_change_mean : absolute difference over frames and classes
    logit_snr_db : power of the reference's logits over that of their difference
    cam_correlation, cam_correlation_worst : of the positive class's map, mean and worst frame
    cam_correlation_all : mean over frames and classes
    top5_kept, top5_order : see `compare_best`
    decisions_changed : share of frames on the other side of the operating threshold
    minority_share : share of frames to which the reference does not give its commonest class
    auroc_change, ece_change : engine less reference, with interval; absent where labels do not
        define them

    Raises
    ------
    EngineError
        F08 if the engine's answer is not finite or not of the spec's shape.
    """
    found.check(specs[1])
    positive = specs[0].positive_index
    chosen = reference.logits.argmax(axis=1)
    change = np.abs(_wide(found.probs) - _wide(reference.probs))
    maps = correlate_maps(reference.cam, found.cam, specs[0].cam_scale)
    scores = _wide(reference.probs)[:, positive], _wide(found.probs)[:, positive]
    sides = [score >= spec.threshold for score, spec in zip(scores, specs, strict=True)]
    values = {
        "distinct_frames": len({frame.tobytes() for frame in frames.inputs}),
        "top1_agreement": (found.logits.argmax(axis=1) == chosen).mean(),
        "prob_change_max": change.max(),
        "prob_change_mean": change.mean(),
        "logit_snr_db": logit_snr_db(reference.logits, found.logits),
        "cam_correlation": maps[:, positive].mean(),
        "cam_correlation_worst": maps[:, positive].min(),
        "cam_correlation_all": maps.mean(),
        **compare_best(*scores),
        "decisions_changed": (sides[0] != sides[1]).mean(),
        "minority_share": 1 - np.bincount(chosen).max() / len(chosen),
    }
    figures = {name: Figure(float(value)) for name, value in values.items()}
    return figures | _against_labels(reference, found, frames, positive)


def correlate_maps(
    reference: NDArray[np.float32], found: NDArray[np.float32], scale: Sequence[float]
) -> Floats:
    """Return the correlation of each class map with the reference's, shape (N, C).

    It is Pearson's, as if both maps also carried one faint pattern of standard deviation
    `FAINT` times the class's full intensity. So two flat maps agree, a flat and a structured
    one do not, and differences that nobody can see weigh little.

    Parameters
    ----------
    reference, found : shape (N, C, h, w)
    scale : per class, the map value drawn as full intensity
    """
    one, other = (_centred(maps) for maps in (reference, found))
    faint = (FAINT * np.asarray(scale)) ** 2
    shared = (one * other).mean(axis=2) + faint
    spread = [(maps * maps).mean(axis=2) + faint for maps in (one, other)]
    return np.asarray(shared / np.sqrt(spread[0] * spread[1]))


def logit_snr_db(reference: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the power of the reference's logits (N, C) over that of their change, in dB."""
    signal = np.square(_wide(reference)).sum()
    noise = np.square(_wide(found) - _wide(reference)).sum()
    if noise <= signal * 10 ** (-MOST_SNR_DB / 10):
        return MOST_SNR_DB
    return float(10 * np.log10(max(signal, np.finfo(float).tiny) / noise))


def compare_best(reference: Floats, found: Floats) -> dict[str, float]:
    """Compare the five frames of highest score.

    Frames whose reference scores differ by less than `TIE` may stand in for each other.

    Parameters
    ----------
    reference, found : shape (N,), probability of the positive class

    Returns
    -------
    top5_kept : share of the engine's five that are also among the reference's
    top5_order : Kendall's tau-a between the two orders of the reference's five, ties of the
        reference counted as agreement: 1 the same order, 0.8 one pair exchanged, -1 reversed

    References
    ----------
    Kendall, "A New Measure of Rank Correlation", Biometrika 30, 1938.
    """
    best, picked = (np.argsort(-scores, kind="stable")[:TOP] for scores in (reference, found))
    kept = reference[picked] > reference[best[-1]] - TIE
    one, other = (np.subtract.outer(scores[best], scores[best]) for scores in (reference, found))
    pairs = np.triu(np.ones_like(one, dtype=np.bool_), 1)
    agreed = np.where(one >= TIE, np.sign(other), 1.0)[pairs]
    return {"top5_kept": float(kept.mean()), "top5_order": float(agreed.mean())}


def _against_labels(
    reference: EngineOutput, found: EngineOutput, frames: FrameSet, positive: int
) -> dict[str, Figure]:
    known = frames.labels >= 0
    if not known.any():
        return {}
    labels = frames.labels[known]
    groups = np.unique(np.array(frames.groups)[known], return_inverse=True)[1]
    one, other = (_wide(output.probs)[known] for output in (reference, found))
    figures = {"ece_change": calibration_change(one, other, labels, groups)}
    truth = labels == positive
    if truth.any() and not truth.all():
        figures["auroc_change"] = auroc_change(one[:, positive], other[:, positive], truth, groups)
    return figures


def _check_kinship(model: Model, reference: Model) -> None:
    if reference.digest not in (model.digest, model.spec.reference_digest):
        made = model.spec.reference_digest[:12] or "no other model"
        problem = f"was made from {made}, not from {reference.name} ({reference.digest[:12]})"
        raise EngineError(model.name, problem, "compare it with its own reference", fault="M08")
    for field in ("classes", "positive_class", "input_wh"):
        have, want = (getattr(each.spec, field) for each in (model, reference))
        if have != want:
            problem = f"{field} {have}, its reference has {want}"
            raise EngineError(model.name, problem, "make it again", fault="M07")


def _centred(maps: NDArray[np.float32]) -> Floats:
    flat = _wide(maps).reshape(*maps.shape[:2], -1)
    return np.asarray(flat - flat.mean(axis=2, keepdims=True))


def _wide(values: NDArray[np.float32]) -> Floats:
    return values.astype(np.float64)
