"""How clips are replayed: the engine, where it stands, and the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from engines.base import Engine
from engines.choose import Chosen
from engines.load import Model
from engines.probe import Watch
from stream.config import AnalysisConfig
from stream.session.manifest import EngineUsed, ModelUsed
from stream.session.record import Explain
from stream.sources.nursery import Nursery


@dataclass(frozen=True, slots=True)
class Job:
    """How clips are replayed.

    Parameters
    ----------
    engine : open engine, used for one clip after another
    model : what was analysed with, as the manifest says it
    config : of the analysis
    stream_index : which video stream of a file, or None for its only one
    nursery : gives each clip its decoder; started from nothing each time when None
    watch : asks the engine for its known answers between frames; nobody asks when None
    explain : explains key frames; not asked for when None
    """

    engine: Engine
    model: ModelUsed
    config: AnalysisConfig
    stream_index: int | None = None
    nursery: Nursery | None = None
    watch: Watch | None = None
    explain: Explain | None = None


def model_used(chosen: Chosen, given: Model, path: Path) -> ModelUsed:
    """Say which model and engine answer.

    Parameters
    ----------
    given : the model file that was asked for; the engine may come from one derived from it
    path : of that file
    """
    engine = chosen.engine
    verdict = chosen.sidecar.verdict if chosen.sidecar else None
    return ModelUsed(
        path=str(path.absolute()),
        digest=given.digest,
        spec=msgspec.structs.replace(engine.model.spec, gate=None),
        engine=EngineUsed(
            name=engine.info.name,
            runtime=str(engine.info),
            precision=engine.info.precision,
            standing=chosen.standing,
            reason=chosen.reason,
            model_digest=engine.model.digest,
            missed=verdict.missed if verdict else (),
        ),
    )
