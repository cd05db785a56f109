"""The engine of an archive: chosen once, then opened the same by every worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engines.base import Engine
from engines.build import options_of
from engines.cache import MODEL, open_cache, read_entry
from engines.choose import Chosen
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import load_backend, open_engine
from engines.options import DEFAULT
from engines.probe import decode_probe, encode_probe
from stream.archive.records import Answering
from stream.job import model_used
from stream.session.manifest import ModelUsed


def describe(chosen: Chosen, given: Model, path: Path, cache: Path | None) -> Answering:
    """Say which engine was chosen, so that other processes can open the same.

    Parameters
    ----------
    given, path : model file that was asked for
    cache : folder of compiled engines; the user's own when None
    """
    used = model_used(chosen, given, path)
    return Answering(
        model_path=used.path,
        model_digest=given.digest,
        used=used.engine,
        key=chosen.sidecar.key if chosen.sidecar else None,
        cache=str(cache.absolute()) if cache else "",
        probe=encode_probe(chosen.probe),
    )


def open_same(answering: Answering, threads: int) -> tuple[Chosen, ModelUsed, Model]:
    """Open the engine that was described, with so many threads, and ask its known answers.

    Threads change speed only: an engine of the CPU repeats itself to the last bit whatever their
    number, see `engines.probe`.

    Returns
    -------
    The engine, what the manifest says of it, and the model file given.

    Raises
    ------
    EngineError
        M08 if the model file has another digest here; else if the engine is absent, is another
        one here, or answers differently. Results would not be those of the other workers.
    """
    given = load_model(Path(answering.model_path))
    if given.digest != answering.model_digest:
        problem = f"digest {given.digest} here, expected {answering.model_digest}"
        raise EngineError(given.name, problem, "give every worker the same file", fault="M08")
    engine = _open(answering, given, threads)
    try:
        if str(engine.info) != answering.used.runtime:
            problem = f"{engine.info} here, expected {answering.used.runtime}"
            raise EngineError("engine", problem, "give every worker the same")
        probe = decode_probe(answering.probe)
        probe.check(engine)
    except EngineError:
        engine.close()
        raise
    chosen = Chosen(engine, probe, answering.used.standing, answering.used.reason, None)
    used = _as_chosen(model_used(chosen, given, Path(answering.model_path)), answering)
    return chosen, used, given


def _as_chosen(used: ModelUsed, answering: Answering) -> ModelUsed:
    """Return what the manifest says, with the gate's words from where the engine was chosen."""
    return ModelUsed(
        path=answering.model_path, digest=used.digest, spec=used.spec, engine=answering.used
    )


def _open(answering: Answering, given: Model, threads: int) -> Engine:
    key = answering.key
    if key is None:
        return open_engine(given, answering.used.name, replace(DEFAULT, threads=threads))
    cache = open_cache(Path(answering.cache) if answering.cache else None)
    contents = read_entry(cache, key)
    if contents is None:
        problem = f"no entry {key.name[:8]} in {cache.folder}"
        raise EngineError(f"engine {key.backend}", problem, "give every worker the same cache")
    model = given
    if key.model_digest != given.digest:
        model = load_model(contents.entry.place / MODEL)
        if model.digest != key.model_digest:
            raise EngineError(model.name, f"{MODEL} changed meanwhile", fault="M06")
    backend = load_backend(key.backend)
    options = options_of(key)
    if options.threads is not None:
        options = replace(options, threads=threads)
    here = backend.identify(options)
    if (here.version, here.device, here.driver) != (key.backend_version, key.device, key.driver):
        made = f"made for {key.backend_version} on {key.device}"
        problem = f"{made}, here is {here.version} on {here.device}"
        raise EngineError(f"engine {key.backend}", problem, "use like machines", fault="M06")
    return backend.load_engine(model, options, contents.engine)
