"""The sub-commands around the main job: verify, info, phantom."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from engines.cache import open_cache
from engines.load import Model, load_model
from stream import console
from stream.engine_facts import COLUMNS, EngineFacts, engine_rows, table_rows
from stream.errors import StorageError, UsageError
from stream.sources.open import open_source, source_info
from stream.verify import verify_session

MODEL_SUFFIXES = frozenset({".onnx", ".pt", ".pth"})


def verify(session: Path, /, *, cache: Path | None = None, json: bool = False) -> int:
    """Run a session again and compare journal and report byte for byte, timing columns aside.

    Parameters
    ----------
    session
        Session folder.
    cache
        Folder of compiled engines, in place of the user's own.
    json
        Print the findings as JSON.
    """
    findings = verify_session(session, cache)
    if json:
        console.show_json({"session": str(session), "stands": not findings, "findings": findings})
    elif not findings:
        console.say(f"{session}: identical")
    if findings and not json:
        raise StorageError(str(session), "does not stand: " + " | ".join(findings[:20]))
    return StorageError.exit_code if findings else 0


def info(thing: str, /, *, cache: Path | None = None, json: bool = False) -> None:
    """Say what a model or a clip is, without analysing it; of a model also its compiled engines.

    Parameters
    ----------
    thing
        An `.onnx` model, a clip, a folder of stills or a phantom address.
    cache
        Folder of compiled engines, in place of the user's own.
    json
        Print JSON.
    """
    rows: tuple[EngineFacts, ...] = ()
    if Path(thing).suffix.lower() in MODEL_SUFFIXES:
        model = load_model(Path(thing))
        rows = engine_rows(model, open_cache(cache))
        facts = _model_facts(model)
    else:
        source, problems = source_info(thing)
        facts = msgspec.to_builtins(source) | {"problems": [problem.text for problem in problems]}
    if json:
        console.show_json(facts | ({"engines": msgspec.to_builtins(rows)} if rows else {}))
        return
    console.show_facts(thing, {key: str(value) for key, value in facts.items()})
    if rows:
        console.show_table("Compiled engines", COLUMNS, table_rows(rows))


def phantom(address: str, target: Path, /) -> None:
    """Write a phantom clip as an H.264 video file.

    Parameters
    ----------
    address
        Such as `phantom:kidney?seed=7&seconds=8`.
    target
        File to write; it must not exist.
    """
    from stream.sources.encode import write_video

    if os.path.lexists(target):
        raise UsageError(str(target), "exists", "give another name", fault="C08")
    with open_source(address, session="phantom") as source:
        count = write_video(target, (frame.image for frame in source), source.info.rate_hz or 25.0)
    console.say(f"{target}: {count} frames")


def _model_facts(model: Model) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(model.spec)
    facts["gate"] = model.spec.gate.rule if model.spec.gate else "none"
    return {"digest": model.digest, "bytes": len(model.data)} | facts
