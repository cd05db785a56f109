"""Begins a new journal when the old one could not be written any more (F28)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from stream.errors import StorageError
from stream.session.journal import open_reading
from stream.session.live_journal import LiveJournal


def renew(failed: LiveJournal, path: Path) -> LiveJournal:
    """Copy what a failed journal holds for certain into a new one; put the old one aside.

    A write or sync that failed is never repeated: what it held may or may not be on the disk, so
    it counts as lost, and nothing is added to that file again. The copy is of the last commit that
    succeeded, as a reader sees it while the failed journal is still open.

    Parameters
    ----------
    failed : still open; closed afterwards, whatever happens
    path : of both, the old one until now and the new one

    Raises
    ------
    StorageError
        If the new one cannot be written; the old one then stays where it is.
    """
    fresh = _fresh(path)
    try:
        with open_reading(path) as source, closing(sqlite3.connect(fresh)) as copy:
            source.backup(copy)
    except (sqlite3.Error, StorageError) as error:
        fresh.unlink(missing_ok=True)
        raise StorageError(str(path), f"no new journal can be begun: {error}") from error
    finally:
        failed.abandon()
    _swap(path, fresh)
    return LiveJournal(path)


def failed_journals(path: Path) -> list[Path]:
    """Return the journals that were put aside, in their order."""
    return sorted(path.parent.glob(f"{path.stem}-failed-*{path.suffix}"))


def finish_renewal(path: Path) -> None:
    """Finish what a process that died between two renames began; the copy was whole by then."""
    if _fresh(path).exists() and not path.exists():
        _fresh(path).replace(path)


def _swap(path: Path, fresh: Path) -> None:
    aside = path.with_name(f"{path.stem}-failed-{len(failed_journals(path)) + 1}{path.suffix}")
    try:
        path.rename(aside)
        log = path.with_name(f"{path.name}-wal")
        if log.exists():
            log.rename(aside.with_name(f"{aside.name}-wal"))
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        fresh.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(str(path), f"cannot be put aside: {error.strerror}") from error


def _fresh(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
