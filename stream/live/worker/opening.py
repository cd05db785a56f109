"""Opens the engine that a session asks for, and refuses a model that changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engines.base import Engine
from engines.choose import Chosen
from engines.errors import EngineError
from engines.load import load_model
from engines.probe import Probe
from stream.job import model_used
from stream.live.supervisor.config import EngineWanted
from stream.session.manifest import ModelUsed

Open = Callable[[EngineWanted, bool], tuple[Chosen, ModelUsed]]
"""From what is wanted, and whether a smaller setting must do, to an open engine."""


class Opened(NamedTuple):
    """An open engine, its known answers, and the model as reports name it."""

    engine: Engine
    probe: Probe
    used: ModelUsed


def open_wanted(wanted: EngineWanted, smaller: bool) -> tuple[Chosen, ModelUsed]:
    """Open the engine that the session asks for; the plain default when `smaller`.

    Raises
    ------
    EngineError
        If the model or the engine is refused.
    """
    from stream.engine_flags import EngineFlags, choose

    path = Path(wanted.model)
    model = load_model(path)
    flags = EngineFlags(
        "onnxruntime" if smaller else wanted.engine,
        None if smaller else wanted.precision,
        wanted.force,
        wanted.require_gpu and not smaller,
        Path(wanted.cache) if wanted.cache else None,
    )
    chosen = choose(model, flags)
    return chosen, model_used(chosen, model, path)


def open_verified(opener: Open, wanted: EngineWanted, smaller: bool) -> Opened:
    """Open an engine and see that its model is the one that the session began with.

    Raises
    ------
    EngineError
        As `open_wanted`; M08 if the file has another digest.
    """
    chosen, used = opener(wanted, smaller)
    if wanted.digest not in ("", used.digest):
        problem = f"sha256 {used.digest[:16]}, the session began with {wanted.digest[:16]}"
        remedy = "put the file back, or start a new session"
        raise EngineError(Path(wanted.model).name, problem, remedy, fault="M08")
    return Opened(chosen.engine, chosen.probe, used)
