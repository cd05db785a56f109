"""Chooses the engine of a session: the fastest that the gate accepted here, else the default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from engines.base import Engine, check_precision
from engines.build import Say, build_engine, open_contents, options_of
from engines.cache import MODEL, Cache, Entry, list_entries, read_entry
from engines.cpu import count_cores
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import BACKENDS, Kind, installed_engines, load_backend, open_engine
from engines.options import DEFAULT, Precision
from engines.probe import Probe, make_probe, reference_frames
from engines.sidecar import Sidecar

REFERENCE = "onnxruntime"
DEFAULTS = ("openvino", "onnxruntime")
NO_FASTER = "no faster accepted engine can be used here"
Standing = Literal["accepted", "default", "forced"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for.

    Parameters
    ----------
    engine : name of a backend, or ``auto`` for any
    precision : or None for any
    require_gpu : refuse rather than use the CPU
    force : also take an engine that the gate rejected or has not seen
    made_from : sha256 of the ONNX file that it must be compiled from; any when empty
    """

    engine: str = "auto"
    precision: Precision | None = None
    require_gpu: bool = False
    force: bool = False
    made_from: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """An open engine and why it was taken.

    Parameters
    ----------
    probe : its known answers
    standing : the gate accepted it, it is the FP32 engine of the CPU, or it was forced
    reason : one line for people
    sidecar : of its cache entry; None for the default
    """

    engine: Engine
    probe: Probe
    standing: Standing
    reason: str
    sidecar: Sidecar | None


def choose_engine(model: Model, cache: Cache, want: Wanted, say: Say) -> Chosen:
    """Open the engine for a session.

    Accepted engines of the cache are tried from the fastest down, `say` getting a line for each
    that cannot be used. They must beat the default where one could stand in. The same cache and
    machine give the same choice.

    Raises
    ------
    EngineError
        If nothing may be used: F40 where a GPU was required; else with the command that helps.
    """
    names = _names(want)
    default = _default_names(model, want, names)
    entries = [entry for entry in _entries(model, cache, say) if _is_wanted(entry, want, names)]
    accepted = [entry for entry in entries if _is_accepted(entry)]
    for entry in _fastest_first(accepted, floor=1.0 if default else -1.0):
        try:
            return _open_entry(entry, model, cache, "accepted")
        except EngineError as error:
            say(f"{_title(entry)} was accepted but cannot be used: {error}")
    if default:
        return _open_default(model, default, say)
    if want.force:
        others = [entry for entry in entries if not _is_accepted(entry)]
        return _open_forced(model, cache, want, others, say)
    raise _refusal(model, want, names, entries)


def _names(want: Wanted) -> tuple[str, ...]:
    """Return the backends that may be used, the preferred one first."""
    if want.engine != "auto" and want.engine not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise EngineError(f"engine {want.engine}", "is not known", f"expected auto or {known}")
    kinds: tuple[Kind, ...] = ("GPU",) if want.require_gpu else ("GPU", "CPU")
    return tuple(
        name
        for name, backend in BACKENDS.items()
        if backend.kind in kinds and want.engine in ("auto", name)
    )


def _default_names(model: Model, want: Wanted, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the CPU engines that may stand in without the gate: FP32 of an FP32 model only."""
    if model.spec.precision != "fp32" or want.precision not in (None, "fp32"):
        return ()
    return tuple(name for name in DEFAULTS if name in names)


def _entries(model: Model, cache: Cache, say: Say) -> Iterator[Entry]:
    """Yield the cached engines of this model or made from it, in the order of their names."""
    for entry in list_entries(cache):
        if isinstance(entry, EngineError):
            say(str(entry))
            continue
        verdict = entry.sidecar.verdict
        if entry.sidecar.key.model_digest == model.digest or (
            verdict is not None and verdict.reference_digest == model.digest
        ):
            yield entry


def _is_wanted(entry: Entry, want: Wanted, names: tuple[str, ...]) -> bool:
    key = entry.sidecar.key
    return (
        key.backend in names
        and want.precision in (None, key.precision)
        and want.made_from in ("", key.model_digest)
    )


def _is_accepted(entry: Entry) -> bool:
    return entry.sidecar.verdict is not None and entry.sidecar.verdict.accepted


def _fastest_first(entries: list[Entry], floor: float = -1.0) -> list[Entry]:
    """Return the entries whose rate over the default is above `floor`; unmeasured ones count 0."""
    rates = [entry.sidecar.speed.over_default if entry.sidecar.speed else 0.0 for entry in entries]
    pairs = sorted(zip(rates, entries, strict=True), key=lambda p: (-p[0], p[1].place.name))
    return [entry for rate, entry in pairs if rate > floor]


def _open_entry(entry: Entry, model: Model, cache: Cache, standing: Standing) -> Chosen:
    """Open a cached engine, if it was made for this machine and every byte is as it was."""
    key = entry.sidecar.key
    backend = load_backend(key.backend)
    here = backend.identify(options_of(key))
    if (here.version, here.device, here.driver) != (key.backend_version, key.device, key.driver):
        made = f"{key.backend_version} on {key.device} {key.driver}".strip()
        problem = f"made for {made}, here is {here.version} on {here.device} {here.driver}"
        raise EngineError(_title(entry), problem.strip(), "run `stream compile` again", fault="M06")
    if key.threads > count_cores():
        problem = f"made for {key.threads} cores, this process may use {count_cores()}"
        raise EngineError(_title(entry), problem, "run `stream compile` again", fault="M06")
    contents = read_entry(cache, key)
    if contents is None or contents.entry.sidecar != entry.sidecar:
        raise EngineError(_title(entry), "the entry changed meanwhile", "try again", fault="M06")
    built = open_contents(contents, _model_of(entry, model), backend)
    reason = f"{key.backend} {key.precision}, {_words(entry.sidecar, standing)}"
    return Chosen(built.engine, built.probe, standing, reason, entry.sidecar)


def _model_of(entry: Entry, model: Model) -> Model:
    """Return the model of an entry: the one given, or the one stored, verified again."""
    digest = entry.sidecar.key.model_digest
    if digest == model.digest:
        return model
    stored = load_model(entry.place / MODEL)
    if stored.digest != digest:
        raise EngineError(_title(entry), f"{MODEL} changed meanwhile", fault="M06")
    return stored


def _open_default(model: Model, names: tuple[str, ...], say: Say) -> Chosen:
    """Open the FP32 CPU engine and check it against ONNX Runtime, here and now."""
    frames = reference_frames(model.spec)
    reference = open_engine(model, REFERENCE)
    probe = make_probe(reference, frames)
    for name in names:
        if name == REFERENCE:
            reason = f"{name} fp32, the reference itself; {NO_FASTER}"
            return Chosen(reference, probe, "default", reason, None)
        try:
            engine = open_engine(model, name)
        except EngineError as error:
            say(f"{name} cannot be used: {error}")
            continue
        try:
            difference = probe.check(engine)
        except EngineError as error:
            engine.close()
            say(f"{name} cannot be used: {error}")
            continue
        reference.close()
        reason = (
            f"{name} fp32, within {difference:.1g} of ONNX Runtime on {len(frames)} probe frames; "
            f"{NO_FASTER}"
        )
        return Chosen(engine, probe, "default", reason, None)
    reference.close()
    raise EngineError(model.name, f"none of {', '.join(names)} can be used", "see the lines above")


def _open_forced(
    model: Model, cache: Cache, want: Wanted, entries: list[Entry], say: Say
) -> Chosen:
    """Open what the gate rejected or has not seen, compiled now if it is not in the cache."""
    for entry in _fastest_first(entries):
        try:
            return _open_entry(entry, model, cache, "forced")
        except EngineError as error:
            say(f"{_title(entry)} cannot be used: {error}")
    name = _installed(_names(want), want)
    options = replace(DEFAULT, precision=want.precision or model.spec.precision)
    built = build_engine(model, name, options, cache, say)
    sidecar = built.entry.sidecar
    reason = f"{name} {options.precision}, {_words(sidecar, 'forced')}"
    return Chosen(built.engine, built.probe, "forced", reason, sidecar)


def _installed(names: tuple[str, ...], want: Wanted) -> str:
    """Return the first of the names whose runtime is installed."""
    here = installed_engines()
    for name in names:
        if name in here:
            return name
    problem = f"not available here; installed: {', '.join(here) or 'none'}"
    raise EngineError(_subject(want), problem, fault="F40" if want.require_gpu else "")


def _refusal(
    model: Model, want: Wanted, names: tuple[str, ...], entries: list[Entry]
) -> EngineError:
    """Return the error that says why nothing may be used, and what would help."""
    fault = "F40" if want.require_gpu else ""
    try:
        name = _installed(names, want)
    except EngineError as error:
        return error
    precision = want.precision or model.spec.precision
    command = f"stream compile {model.name} --engine {name} --precision {precision}"
    if not entries:
        try:  # a command that will be refused is no remedy
            check_precision(model, replace(DEFAULT, precision=precision), name, (precision,))
        except EngineError as error:
            return error
        problem = f"the gate has accepted no engine of {model.name} here"
        return EngineError(_subject(want), problem, f"compile it first: {command}", fault=fault)
    best = _fastest_first(entries)[0]
    remedy = f"{command}, or --force, which every report shows"
    unusable = " but cannot be used" if _is_accepted(best) else ""
    problem = f"{_title(best)}: {_words(best.sidecar, 'accepted')}{unusable}"
    return EngineError(_subject(want), problem, remedy, fault=fault)


def _subject(want: Wanted) -> str:
    precision = f" {want.precision}" if want.precision else ""
    return f"engine {want.engine}{precision}" + (" on a GPU" if want.require_gpu else "")


def _title(entry: Entry) -> str:
    key = entry.sidecar.key
    return f"{key.backend} {key.precision} (cached {entry.place.name[:8]})"


def _words(sidecar: Sidecar, standing: Standing) -> str:
    """Return what the gate and the measurement said of an engine."""
    verdict, speed = sidecar.verdict, sidecar.speed
    if verdict is None:
        judged = "the gate has not seen it"
    elif verdict.accepted:
        judged = f"accepted on {verdict.frames} held-out frames"
    else:
        judged = "the gate rejected it: " + "; ".join(verdict.missed)
    forced = "forced although " if standing == "forced" else ""
    rate = f", {speed.over_default:.2f} times the rate of the default" if speed else ""
    return f"{forced}{judged}{rate}"
