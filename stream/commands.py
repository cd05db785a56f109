"""The sub-commands of the main job: replay, demo, verify, info, phantom."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from engines.load import load_model
from stream import console
from stream.errors import StorageError, StreamError, UsageError
from stream.replay import Result
from stream.sources.open import open_source, source_info
from stream.verify import verify_session

DEMO_CLIP = Path(__file__).parent / "demo" / "kidney.mp4"
PARTIAL = 4
_log = logging.getLogger(__name__)
MODEL_SUFFIXES = frozenset({".onnx", ".pt", ".pth"})
Outcome = Result | StreamError


def verify(session: Path, /, *, json: bool = False) -> int:
    """Run a session again and compare journal and report byte for byte, timing columns aside.

    Parameters
    ----------
    session
        Session folder.
    json
        Print the findings as JSON.
    """
    findings = verify_session(session)
    if json:
        console.show_json({"session": str(session), "stands": not findings, "findings": findings})
    elif not findings:
        console.say(f"{session}: identical")
    if findings and not json:
        raise StorageError(str(session), "does not stand: " + " | ".join(findings[:20]))
    return StorageError.exit_code if findings else 0


def info(thing: str, /, *, json: bool = False) -> None:
    """Say what a model or a clip is, without analysing it.

    Parameters
    ----------
    thing
        An `.onnx` model, a clip, a folder of stills or a phantom address.
    json
        Print JSON.
    """
    if Path(thing).suffix.lower() in MODEL_SUFFIXES:
        facts = _model_facts(Path(thing))
    else:
        source, problems = source_info(thing)
        facts = msgspec.to_builtins(source) | {"problems": [problem.text for problem in problems]}
    if json:
        console.show_json(facts)
    else:
        console.show_facts(thing, {key: str(value) for key, value in facts.items()})


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


def _model_facts(path: Path) -> dict[str, object]:
    model = load_model(path)
    facts: dict[str, object] = msgspec.to_builtins(model.spec)
    facts["gate"] = model.spec.gate.rule if model.spec.gate else "none"
    return {"digest": model.digest, "bytes": len(model.data)} | facts
