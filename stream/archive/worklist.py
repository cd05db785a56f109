"""The work list: one SQLite file with a row per recording, written by one process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from stream.archive.records import Found, Outcome, Settings, State, Task
from stream.archive.rows import COLUMNS, Row, decode_row
from stream.archive.scan import session_name
from stream.closing import Closing
from stream.errors import StorageError, UsageError

WORK_LIST = "archive.sqlite"
MAX_TRIES = 2
SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS recordings (
    path BLOB PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    session TEXT NOT NULL UNIQUE, state TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '', exit_code INTEGER, fault TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '', seconds REAL, frames INTEGER, facts TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON recordings (state, removed, size DESC, path);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_BLANK = (
    "state = 'todo', owner = '', tries = 0, exit_code = NULL, fault = '', text = '',"
    " seconds = NULL, frames = NULL, facts = NULL"
)


class Changes(NamedTuple):
    """What is new since the last run, as relative paths."""

    added: tuple[bytes, ...]
    changed: tuple[bytes, ...]
    removed: tuple[bytes, ...]


class WorkList(Closing):
    """The work list of an archive; whoever opens it holds the archive's lock.

    Parameters
    ----------
    folder : of the archive

    Raises
    ------
    StorageError
        From every method, if the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / WORK_LIST
        with self._errors():
            self._db = sqlite3.connect(self._path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            (schema,) = self._db.execute("PRAGMA user_version").fetchone()
            if schema not in (0, SCHEMA):
                problem = f"work list of schema {schema}, expected {SCHEMA}"
                raise StorageError(str(self._path), problem, "give another --out")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def close(self) -> None:
        """Fold the write-ahead log into the file."""
        self._db.close()

    def settle(self, root: bytes, settings: Settings) -> None:
        """Take the settings of this run, or refuse those that differ from the archive's.

        Raises
        ------
        UsageError
            C08 with the first setting that differs; results would not be comparable.
        """
        given = {"root": root} | {
            name: msgspec.json.encode(value)
            for name, value in msgspec.structs.asdict(settings).items()
        }
        with self._change():
            known = dict(self._db.execute("SELECT name, value FROM settings"))
            for name, value in given.items():
                if known.get(name, value) != value:
                    problem = f"made with {name} {_shown(known[name])}, now {_shown(value)}"
                    remedy = "give the same, or another --out"
                    raise UsageError(str(self._path.parent), problem, remedy, fault="C08")
            self._db.executemany("INSERT OR IGNORE INTO settings VALUES (?, ?)", given.items())

    def sync(self, found: Iterable[Found], digest: Callable[[Found], str]) -> Changes:
        """Take over what lies in the tree now.

        A recording whose size and time are those of its row is taken for unchanged. Of any other
        one the digest decides.

        Parameters
        ----------
        digest : returns the sha256 of a recording
        """
        present = {recording.path: recording for recording in found}
        with self._change():
            self._db.execute("DELETE FROM recordings WHERE kind = 'folder'")
            self._db.execute(
                "UPDATE recordings SET state = 'todo', owner = '' WHERE state = 'running'"
            )
            known = {row.recording.path: row for row in self.rows()}
            added = [recording for path, recording in present.items() if path not in known]
            changed = [
                recording
                for path, recording in present.items()
                if path in known and self._is_changed(known[path], recording, digest)
            ]
            removed = [path for path, row in known.items() if path not in present]
            self._add(added)
            self._db.executemany(
                f"UPDATE recordings SET {_BLANK}, sha256 = '' WHERE path = ?",  # noqa: S608
                [(recording.path,) for recording in changed],
            )
            self._place(present.values(), removed)
        gone = tuple(path for path in removed if not known[path].removed)
        return Changes(
            tuple(recording.path for recording in added),
            tuple(recording.path for recording in changed),
            gone,
        )

    def retry(self) -> None:
        """Put what failed or was unusable back on the list."""
        with self._change():
            self._db.execute(
                f"UPDATE recordings SET {_BLANK} WHERE kind != 'folder'"  # noqa: S608
                " AND state IN ('failed', 'unusable')"
            )

    def again(self, path: bytes) -> None:
        """Put a recording back on the list whose session is no longer there."""
        with self._change():
            self._db.execute(f"UPDATE recordings SET {_BLANK} WHERE path = ?", (path,))  # noqa: S608

    def take(self, owner: str) -> Task | None:
        """Give the largest recording that waits to a worker; None when none waits."""
        query = (
            "SELECT path, kind, size, mtime_ns, session FROM recordings"
            " WHERE state = 'todo' AND removed = 0 ORDER BY size DESC, path LIMIT 1"
        )
        with self._change():
            row = self._db.execute(query).fetchone()
            if row is None:
                return None
            mark = "UPDATE recordings SET state = 'running', owner = ? WHERE path = ?"
            self._db.execute(mark, (owner, row[0]))
        return Task(Found(*row[:4]), row[4])

    def give_back(self, path: bytes, reason: str) -> bool:
        """Put a recording back whose worker was lost; give it up after the second time.

        Returns
        -------
        Whether it will be tried again.
        """
        with self._change():
            self._db.execute(
                "UPDATE recordings SET tries = tries + 1, owner = '', text = ?,"
                " state = iif(tries + 1 < ?, 'todo', 'failed'),"
                " exit_code = iif(tries + 1 < ?, NULL, 70) WHERE path = ?",
                (f"{reason}, tried {MAX_TRIES} times", MAX_TRIES, MAX_TRIES, path),
            )
            query = "SELECT state FROM recordings WHERE path = ?"
            (state,) = self._db.execute(query, (path,)).fetchone()
        return bool(state == "todo")

    def finish(self, path: bytes, outcome: Outcome) -> None:
        """Write down how a recording ended."""
        facts = msgspec.json.encode(outcome.facts).decode() if outcome.facts else None
        values = {
            "path": path,
            "state": outcome.state,
            "exit_code": outcome.exit_code,
            "fault": outcome.fault,
            "text": outcome.text,
            "sha256": outcome.sha256,
            "seconds": outcome.seconds,
            "frames": outcome.facts.frames if outcome.facts else None,
            "facts": facts,
        }
        with self._change():
            self._db.execute(
                "UPDATE recordings SET owner = '', state = :state, exit_code = :exit_code,"
                " fault = :fault, text = :text, sha256 = :sha256, seconds = :seconds,"
                " frames = :frames, facts = :facts WHERE path = :path",
                values,
            )

    def count(self, state: State) -> int:
        """Return how many recordings that are still there are in a state."""
        query = "SELECT count(*) FROM recordings WHERE state = ? AND removed = 0"
        with self._errors():
            (number,) = self._db.execute(query, (state,)).fetchone()
        return int(number)

    def rows(self) -> list[Row]:
        """Return every row in the order of its path."""
        query = f"SELECT {COLUMNS} FROM recordings ORDER BY path"  # noqa: S608 - our own names
        with self._errors():
            return [decode_row(values) for values in self._db.execute(query)]

    def _is_changed(self, row: Row, now: Found, digest: Callable[[Found], str]) -> bool:
        if row.recording == now or row.state == "todo":
            return False
        return not row.sha256 or digest(now) != row.sha256

    def _add(self, added: Iterable[Found]) -> None:
        self._db.executemany(
            "INSERT INTO recordings (path, kind, size, mtime_ns, session, state, fault, text,"
            " exit_code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (new.path, new.kind, new.size, new.mtime_ns, session_name(new.path), *_first(new))
                for new in added
            ],
        )

    def _place(self, present: Iterable[Found], removed: Iterable[bytes]) -> None:
        self._db.executemany(
            "UPDATE recordings SET kind = ?, size = ?, mtime_ns = ?, removed = 0 WHERE path = ?",
            [(now.kind, now.size, now.mtime_ns, now.path) for now in present],
        )
        self._db.executemany(
            "UPDATE recordings SET removed = 1 WHERE path = ?", [(path,) for path in removed]
        )

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Make all changes of the block at once, or none."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            raise StorageError(str(self._path), f"cannot be used: {error}") from error


def _first(new: Found) -> tuple[State, str, str, int | None]:
    """Return state, fault, text and exit code of a new row."""
    return ("unusable", "V21", new.problem, 3) if new.problem else ("todo", "", "", None)


def _shown(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")[:200]
