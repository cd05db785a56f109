"""Compiles engines, or takes them from the cache, and measures them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, Identity, Pending
from engines.cache import Cache, Contents, Entry, read_entry, write_entry, write_sidecar
from engines.cpu import count_cores
from engines.errors import EngineError
from engines.load import Model
from engines.open import BACKENDS, DEVICE_FAULTS, BackendModule, load_backend, try_out
from engines.options import EngineOptions
from engines.probe import Probe, decode_probe, encode_probe, make_probe, reference_frames
from engines.sidecar import EngineKey, Sidecar, Speed, Verdict

ROUNDS = 9
ROUND_S = 0.25
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """An open engine with its place in the cache.

    Parameters
    ----------
    entry : where it is stored, with its sidecar
    probe : the known answers it was stored with
    cached : whether it came from the cache
    """

    engine: Engine
    entry: Entry
    probe: Probe
    cached: bool


def build_engine(model: Model, name: str, options: EngineOptions, cache: Cache, say: Say) -> Built:
    """Open an engine from its cache entry, or compile and store it.

    An entry that does not match exactly, cannot be loaded or no longer gives its known answers is
    compiled again from the model, and `say` gets a line with the reason. What is compiled is
    loaded from the stored form, so that later sessions run the same engine.

    Raises
    ------
    EngineError
        If the backend is absent, refuses the model, or the cache cannot be written.
    """
    backend = load_backend(name)
    key = engine_key(model, name, options, backend.identify(options))
    try:
        contents = read_entry(cache, key)
        if contents is not None:
            return open_contents(contents, model, backend)
    except EngineError as error:
        if error.fault in DEVICE_FAULTS:
            raise
        mark = f"[{error.fault}] " if error.fault else ""
        why = f"{mark}{error.subject}: {error.problem}"
        say(f"{why}; compiling it again from {model.name}")
    blob = backend.compile_engine(model, options, say)
    engine = backend.load_engine(model, options, blob)
    try_out(engine)
    try:
        probe = make_probe(engine, reference_frames(model.spec))
        entry = write_entry(cache, key, model, blob, encode_probe(probe))
    except EngineError:
        engine.close()
        raise
    return Built(engine, entry, probe, cached=False)


def open_contents(contents: Contents, model: Model, backend: BackendModule) -> Built:
    """Open a verified entry and ask its probe.

    Raises
    ------
    EngineError
        If the runtime refuses it, or it does not give its known answers.
    """
    probe = decode_probe(contents.probe)
    options = options_of(contents.entry.sidecar.key)
    engine = backend.load_engine(model, options, contents.engine)
    try:
        probe.check(engine)
    except EngineError:
        engine.close()
        raise
    return Built(engine, contents.entry, probe, cached=True)


def attach_verdict(entry: Entry, verdict: Verdict | None, speed: Speed | None) -> Entry:
    """Write what the gate found into the sidecar of an entry.

    Raises
    ------
    EngineError
        With fault M06 if the entry is no longer the one that was judged.
    """
    sidecar: Sidecar = msgspec.structs.replace(entry.sidecar, verdict=verdict, speed=speed)
    return write_sidecar(entry, sidecar)


def engine_key(model: Model, name: str, options: EngineOptions, identity: Identity) -> EngineKey:
    """Return everything that the engine depends on."""
    on_cpu = BACKENDS[name].kind == "CPU"
    return EngineKey(
        model_digest=model.digest,
        backend=name,
        backend_version=identity.version,
        device=identity.device,
        driver=identity.driver,
        precision=options.precision,
        batch=options.batch,
        mode=options.mode,
        threads=(options.threads or count_cores()) if on_cpu else 0,
        extras=_extras(options),
    )


def options_of(key: EngineKey) -> EngineOptions:
    """Return the options that a cached engine is loaded with."""
    return EngineOptions(
        key.precision,
        key.batch,
        key.mode,
        key.threads or None,
        version_compatible="version_compatible" in key.extras,
        hardware_compatible="hardware_compatible" in key.extras,
    )


def measure_speed(
    engine: Engine, default: Engine, best: int = 1, round_s: float = ROUND_S
) -> Speed:
    """Measure an engine beside the default one, in turns, so that both see the same machine.

    Parameters
    ----------
    engine : to be measured at `best` frames a run, and at one as sessions run it
    default : the FP32 CPU engine, one frame a run
    best : batch that the engine was optimised for
    round_s : time of each of the measurements of a round
    """
    frames, one = _noise(engine, best), _noise(default, 1)
    runs_ms: list[float] = []
    rates_hz: list[float] = []
    ratios: list[float] = []
    for _ in range(ROUNDS):
        runs_ms += _time_runs_ms(engine, frames, round_s)
        rates_hz.append(_rate_hz(engine, frames, round_s))
        alone_hz = rates_hz[-1] if best == 1 else _rate_hz(engine, one, round_s)
        ratios.append(alone_hz / _rate_hz(default, one, round_s))
    p50_ms, p99_ms = np.percentile(runs_ms, (50, 99))
    return Speed(
        p50_ms=float(p50_ms),
        p99_ms=float(p99_ms),
        rate_hz=float(np.median(rates_hz)),
        over_default=float(np.median(ratios)),
    )


def _extras(options: EngineOptions) -> tuple[str, ...]:
    extras = []
    if options.workspace_mib is not None:
        extras.append(f"workspace_mib={options.workspace_mib}")
    if options.version_compatible:
        extras.append("version_compatible")
    if options.hardware_compatible:
        extras.append("hardware_compatible")
    return tuple(extras)


def _noise(engine: Engine, count: int) -> NDArray[np.uint8]:
    width, height = engine.model.spec.input_wh
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def _time_runs_ms(engine: Engine, frames: NDArray[np.uint8], round_s: float) -> list[float]:
    """Time single runs, nothing else under way, at least five of them."""
    spent_ms: list[float] = []
    ends_ns = time.monotonic_ns() + round(round_s * 1e9)
    while len(spent_ms) < 5 or time.monotonic_ns() < ends_ns:
        began_ns = time.perf_counter_ns()
        engine.submit(frames).result()
        spent_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    return spent_ms


def _rate_hz(engine: Engine, frames: NDArray[np.uint8], round_s: float) -> float:
    """Return frames per second with `depth` runs under way, over at least three times as many."""
    under_way: list[Pending] = []
    began_ns = time.monotonic_ns()
    runs = 0
    while runs < 3 * engine.depth or time.monotonic_ns() - began_ns < round_s * 1e9:
        under_way.append(engine.submit(frames))
        runs += 1
        if len(under_way) >= engine.depth:
            under_way.pop(0).result()
    for pending in under_way:
        pending.result()
    return runs * len(frames) / ((time.monotonic_ns() - began_ns) / 1e9)
