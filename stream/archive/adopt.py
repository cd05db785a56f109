"""Brings sessions from the work folder to their place, and recognises those without a row.

Workers write below the folder of their run in the work folder and nowhere else. Only the process
that holds the archive's lock brings a session to its place, so that a worker which outlives its
run, as one on another machine may, can spoil nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stream.archive.facts import read_facts
from stream.archive.records import SESSIONS, WORK, Outcome, Settings
from stream.errors import StorageError
from stream.recording import PARTIAL
from stream.session.manifest import MANIFEST, Manifest, file_digests, read_manifest


def clear_work(out: Path, run: str) -> None:
    """Bring every sealed session of a run to its place; take away the work folder of all runs.

    Raises
    ------
    StorageError
        If the archive cannot be written.
    """
    for name, folders in left_behind(out, run).items():
        for folder in folders:
            if is_sealed(folder):
                place_session(folder, out, name)
    shutil.rmtree(out / WORK, ignore_errors=True)  # a worker elsewhere may still write there


def left_behind(out: Path, run: str = "*") -> dict[str, list[Path]]:
    """Return what workers of a run, or of every run, made and nobody placed, by session name."""
    found: dict[str, list[Path]] = {}
    for folder in sorted((out / WORK).glob(f"{run}/*/[!.]*")):
        found.setdefault(folder.parent.name, []).append(folder)
    return found


def place_made(out: Path, run: str, name: str) -> None:
    """Bring the session that a worker of a run has sealed to its place.

    Raises
    ------
    StorageError
        If it is not there, or the archive cannot be written.
    """
    made = left_behind(out, run).get(name, [])
    if len(made) != 1:
        problem = f"{len(made)} sessions where a worker made one"
        raise StorageError(str(out / WORK / run / name), problem, "share the file system")
    place_session(made[0], out, name)


def place_session(folder: Path, out: Path, name: str) -> None:
    """Bring a sealed session to its place; one that lies there already is replaced.

    Parameters
    ----------
    folder : in the archive's work folder
    name : of the session folder

    Raises
    ------
    StorageError
        If the archive cannot be written.
    """
    final, aside = out / SESSIONS / name, folder.parent / ".replaced"  # a kill leaves it there
    try:
        final.parent.mkdir(exist_ok=True)
        if final.exists():
            final.rename(aside)
        folder.rename(final)
    except OSError as error:
        raise StorageError(str(final), f"cannot be written: {error.strerror}") from error
    remove(folder.parent)


def recognise(folder: Path, sha256: str, settings: Settings) -> Outcome | None:
    """Return the outcome of a session if it is sealed, unchanged and what would be made now.

    Parameters
    ----------
    folder : where the session would be
    sha256 : digest of the recording as it lies there now
    settings : of the archive
    """
    manifest = _sealed(folder)
    if manifest is None or not sha256 or manifest.input.info.sha256 != sha256:
        return None
    if settings_of(manifest, report=settings.report) != settings:
        return None
    try:
        if file_digests(folder) != manifest.files:
            return None
        return outcome_of(folder, manifest)
    except (OSError, StorageError):
        return None


def outcome_of(folder: Path, manifest: Manifest, seconds: float = 0.0) -> Outcome:
    """Return the outcome of a sealed session."""
    return Outcome(
        state="done",
        exit_code=PARTIAL if manifest.partial else 0,
        sha256=manifest.input.info.sha256,
        seconds=seconds,
        facts=read_facts(folder, manifest),
    )


def settings_of(manifest: Manifest, *, report: bool) -> Settings:
    """Return the settings that a session was made with."""
    engine = manifest.model.engine
    return Settings(
        model=manifest.model.digest,
        engine=engine.runtime,
        engine_model=engine.model_digest,
        config=manifest.config,
        stream_index=manifest.input.stream_index,
        explain=manifest.explain,
        report=report,
    )


def is_sealed(folder: Path) -> bool:
    """Say whether a session folder holds a manifest with its seal."""
    return _sealed(folder) is not None


def _sealed(folder: Path) -> Manifest | None:
    if not (folder / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(folder)
    except StorageError:
        return None
    return manifest if manifest.complete and manifest.files else None


def remove(folder: Path) -> None:
    """Take a folder of the archive away, if it is there.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    if not os.path.lexists(folder):
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StorageError(str(folder), f"cannot be removed: {error.strerror}") from error
