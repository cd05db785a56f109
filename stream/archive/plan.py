"""What an archive is to do: its folders, checked before any work, its engine and its settings."""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream import __version__
from stream.archive.records import SESSIONS, WORK, Answering, Settings, Setup
from stream.archive.worklist import WORK_LIST
from stream.config import AnalysisConfig
from stream.errors import SourceError, UsageError
from stream.hold import LOCK


@dataclass(frozen=True, slots=True)
class Places:
    """Absolute folders of the recordings and of the archive."""

    root: Path
    out: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What an archive is to do.

    Parameters
    ----------
    answering : the engine that every worker opens
    settings : what makes its results comparable
    run : names the folder of this run's workers, see `stream.archive.adopt`
    """

    places: Places
    answering: Answering
    settings: Settings
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def setup(self) -> Setup:
        """Return what a worker is told; its cores are filled in by the pool."""
        return Setup(
            version=__version__,
            run=self.run,
            root=os.fsencode(self.places.root),
            out=os.fsencode(self.places.out),
            answering=self.answering,
            settings=self.settings,
            cores=(),
            threads=1,
        )


def build_settings(
    answering: Answering,
    config: AnalysisConfig,
    stream_index: int | None,
    explain: Literal["ig"] | None,
    *,
    report: bool,
) -> Settings:
    """Return what makes the results of an archive comparable."""
    return Settings(
        model=answering.model_digest,
        engine=answering.used.runtime,
        engine_model=answering.used.model_digest,
        config=config,
        stream_index=stream_index,
        explain=explain,
        report=report,
    )


def check_places(folder: Path, out: Path) -> Places:
    """Return both folders, the one of the archive made if it was absent.

    Raises
    ------
    SourceError
        V21 if `folder` is none.
    UsageError
        C08 if `out` lies inside `folder`, `folder` among the sessions of `out`, or `out` holds
        something else or cannot be written.
    """
    if not folder.is_dir():
        raise SourceError(str(folder), "is no folder", "give a folder of recordings", fault="V21")
    root, place = folder.resolve(), out.resolve()
    if place.is_relative_to(root):
        raise _refused(out, f"lies inside {folder}, which is the input")
    if root.is_relative_to(place / SESSIONS) or root.is_relative_to(place / WORK):
        raise _refused(folder, f"lies among the sessions of {out}")
    try:
        place.mkdir(parents=True, exist_ok=True)
        held = {path.name for path in place.iterdir()}
        if held - {LOCK} and WORK_LIST not in held:
            raise _refused(out, "holds something that is no archive")
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise _refused(out, f"cannot be written: {error.strerror}") from error
    return Places(folder.absolute(), out.absolute())


def _refused(path: Path, problem: str) -> UsageError:
    return UsageError(str(path), problem, "give another --out", fault="C08")
