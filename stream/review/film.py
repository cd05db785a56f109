"""The film of a session in pieces, each made once and kept in a file beside the session."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from pathlib import Path
from typing import Any, NamedTuple

from engines.pixels import Matrix
from stream.closing import Closing
from stream.errors import StorageError

FILM = ".film.sqlite"
"""A hidden name, so that nobody who looks for clips takes the film for one."""
PIECE = 32
"""Frames of a piece: a third of a second of work, and more than decoders hold back."""
VERSION = 2
_WAIT_S = 10.0
_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA user_version = {VERSION};
CREATE TABLE IF NOT EXISTS film (
    one INTEGER PRIMARY KEY CHECK (one = 1), journal TEXT NOT NULL, width INTEGER, height INTEGER,
    matrix TEXT, full_range INTEGER);
CREATE TABLE IF NOT EXISTS pieces (
    number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, data BLOB NOT NULL);
"""


class Look(NamedTuple):
    """What all pieces share: width and height in pixels, and colours."""

    width: int
    height: int
    matrix: Matrix
    full_range: bool


class Film(Closing):
    """The pieces that there are; several processes may fill one film, a thread of each at a time.

    Parameters
    ----------
    folder : of the review
    journal : sha256 of the journal whose frames it shows; a film of another one is replaced

    Raises
    ------
    StorageError
        From every method, if the file cannot be read or written.
    """

    def __init__(self, folder: Path, journal: str) -> None:
        self._path, self._lock = folder / FILM, threading.Lock()
        try:
            self._db = self._open(journal) or self._replace(journal)
        except (sqlite3.Error, OSError) as error:
            raise self._failure(error) from error

    def look(self) -> Look | None:
        """Return size and colours, None before the first piece."""
        row = self._ask("SELECT width, height, matrix, full_range FROM film WHERE width")
        return Look(row[0], row[1], row[2], bool(row[3])) if row else None

    def read(self, number: int) -> bytes | None:
        """Return a piece, an MP4 file whose time begins at 0; None if it is absent or damaged."""
        row = self._ask("SELECT data, sha256 FROM pieces WHERE number = ?", number)
        if row is None or hashlib.sha256(row[0]).hexdigest() != row[1]:
            return None
        return bytes(row[0])

    def keep(self, number: int, data: bytes, look: Look) -> None:
        """Add a piece; if the power fails, the newest may be gone."""
        self._ask("UPDATE film SET width = ?, height = ?, matrix = ?, full_range = ?", *look)
        digest = hashlib.sha256(data).hexdigest()
        self._ask("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)", number, digest, data)

    def empty(self) -> None:
        """Forget every piece."""
        self._ask("DELETE FROM pieces")

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()

    def _ask(self, query: str, *given: object) -> tuple[Any, ...] | None:
        try:
            with self._lock:
                row: tuple[Any, ...] | None = self._db.execute(query, given).fetchone()
                return row
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _open(self, journal: str) -> sqlite3.Connection | None:
        """Return the film if it is one of this journal, or a new one; else None."""
        db = sqlite3.connect(
            self._path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] in (0, VERSION):
                db.executescript(_SCHEMA)
                db.execute("INSERT OR IGNORE INTO film (one, journal) VALUES (1, ?)", (journal,))
                if db.execute("SELECT journal FROM film").fetchone()[0] == journal:
                    return db
        except sqlite3.OperationalError:
            db.close()
            raise
        except sqlite3.DatabaseError:  # it is damaged, or no database
            pass
        db.close()
        return None

    def _replace(self, journal: str) -> sqlite3.Connection:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(FILM + suffix).unlink(missing_ok=True)
        db = self._open(journal)
        if db is None:
            raise sqlite3.DatabaseError("it is another's")
        return db

    def _failure(self, error: Exception) -> StorageError:
        return StorageError(str(self._path), f"no film can be kept there: {error}")
