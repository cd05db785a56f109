"""Compiles an engine, proves it against the float32 reference, and keeps what was found."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from calib.agreement import gate
from calib.held_out import held_out_frames
from calib.limits import is_complete, judge
from engines.base import Engine
from engines.build import Say, attach_verdict, build_engine, measure_speed
from engines.cache import Cache, Entry
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import open_engine
from engines.options import EngineOptions
from engines.sidecar import Sidecar

REFERENCE = "onnxruntime"


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An engine to be compiled and judged.

    Parameters
    ----------
    model : what it is compiled from
    path : where the model lies
    reference : the float32 model that it stands in for; the model itself where it is one
    backend, options : as in `engines.build.build_engine`
    frames : clips, stills, folders or tables to judge it on; generated frames when empty
    """

    model: Model
    path: Path
    reference: Model
    backend: str
    options: EngineOptions
    frames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """An engine with its verdict.

    Parameters
    ----------
    entry : where it is stored
    cached : whether it was compiled before
    judged_before : whether the verdict and speed are those stored with it
    """

    entry: Entry
    cached: bool
    judged_before: bool


def prove_engine(candidate: Candidate, cache: Cache, say: Say) -> Proof:
    """Compile an engine or find it in the cache, judge and time it, and store the verdict.

    A stored verdict stands when no other frames are given. Its figures are held against the limits
    of today, and it is written again where these say otherwise than those it was made with.

    Raises
    ------
    EngineError
        If the engine cannot be compiled or the frames cannot be used. A rejected engine is no
        error: its verdict says so.
    """
    built = build_engine(candidate.model, candidate.backend, candidate.options, cache, say)
    with closing(built.engine):
        stands = _is_judged(built.entry.sidecar, candidate)
        if stands:
            entry = _judge_again(built.entry, say)
        else:
            entry = _judge(built.engine, built.entry, candidate, say)
    return Proof(entry, built.cached, stands)


def find_reference(model: Model, path: Path, given: Path | None = None) -> Model:
    """Return the float32 model that a model stands in for, by the digest in its spec.

    Parameters
    ----------
    path : of the model; ``NAME.int8.onnx`` stands in for ``NAME.onnx`` beside it
    given : where it is looked for instead

    Raises
    ------
    EngineError
        If there is no such file, or it is another model.
    """
    digest = model.spec.reference_digest or model.digest
    if digest == model.digest and given is None:
        return model
    place = given or path.with_name(Path(path.stem).stem + path.suffix)
    try:
        found = load_model(place)
    except EngineError as error:
        problem = f"its float32 reference: {error.subject} {error.problem}"
        raise EngineError(path.name, problem, "name it with --reference") from error
    if found.digest != digest:
        problem = f"digest {found.digest[:12]} is not that of the reference, {digest[:12]}"
        raise EngineError(place.name, problem, f"name the model that {path.name} was made from")
    return found


def _is_judged(sidecar: Sidecar, candidate: Candidate) -> bool:
    verdict = sidecar.verdict
    return (
        verdict is not None
        and verdict.reference_digest == candidate.reference.digest
        and is_complete(verdict.figures)
        and not candidate.frames
    )


def _judge_again(entry: Entry, say: Say) -> Entry:
    """Hold the stored figures against the limits of today."""
    verdict = entry.sidecar.verdict
    assert verdict is not None
    missed = judge(verdict.figures)
    if missed == verdict.missed and verdict.accepted == (not missed):
        return entry
    say("the limits are others than those it was judged by: its figures are judged again")
    changed = msgspec.structs.replace(verdict, accepted=not missed, missed=missed)
    return attach_verdict(entry, changed, entry.sidecar.speed)


def _judge(engine: Engine, entry: Entry, candidate: Candidate, say: Say) -> Entry:
    frames = held_out_frames(candidate.model, candidate.path, candidate.frames)
    say(f"comparing with the reference on {len(frames)} held-out frames: {frames.origin}")
    with closing(open_engine(candidate.reference, REFERENCE)) as reference:
        verdict = gate(engine, reference, frames)
    if not verdict.figures:  # it failed, so there is nothing to time
        return attach_verdict(entry, verdict, None)
    say("measuring speed beside the FP32 default engine")
    with closing(open_engine(candidate.reference)) as default:
        speed = measure_speed(engine, default, candidate.options.batch.best)
    return attach_verdict(entry, verdict, speed)
