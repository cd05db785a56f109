"""What was sent, what was refused, what still waits: one SQLite file beside the session folder.

It lies beside, not inside, for the manifest seals everything inside: sending changes no session.
Every step is one transaction that is on disk before the next begins.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from stream.closing import Closing
from stream.errors import StorageError
from stream.send.instances import Instance
from stream.session.manifest import utc_now

Status = Literal["queued", "sent", "warned", "refused"]
DONE = ("sent", "warned")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    archive TEXT NOT NULL, sop_instance TEXT NOT NULL, file TEXT NOT NULL,
    status TEXT NOT NULL, code INTEGER, text TEXT NOT NULL, time TEXT NOT NULL,
    tries INTEGER NOT NULL, PRIMARY KEY (archive, sop_instance)
);
"""
_ENQUEUE = """
INSERT INTO instances VALUES (?, ?, ?, 'queued', NULL, '', ?, 0)
ON CONFLICT (archive, sop_instance) DO UPDATE SET file = excluded.file
"""
_MARK = """
UPDATE instances SET status = ?, code = ?, text = ?, time = ?
WHERE archive = ? AND sop_instance = ?
"""
_TRY = "UPDATE instances SET tries = tries + 1, time = ? WHERE archive = ? AND sop_instance = ?"
_READ = """
SELECT sop_instance, file, status, code, text, time, tries FROM instances
WHERE archive = ? AND sop_instance = ?
"""


class Entry(msgspec.Struct, frozen=True):
    """One instance on its way to one archive.

    Parameters
    ----------
    status : queued: no answer yet; refused: the last answer was a failure; both are tried again.
        sent: a success status came; warned: stored, with a warning
    code : DICOM status of the last answer, or None
    text : what it means, or what went wrong on the way
    time : of the last change, UTC
    tries : how often it was on its way
    """

    sop_instance: str
    file: str
    status: Status
    code: int | None
    text: str
    time: str
    tries: int


def outbox_path(session: Path) -> Path:
    """Return where the outbox of a session is: ``NAME.outbox.sqlite`` beside its folder."""
    whole = session.resolve()
    return whole.with_name(f"{whole.name}.outbox.sqlite")


class Outbox(Closing):
    """The outbox of one session, for one archive; held by one process at a time.

    Parameters
    ----------
    path : of the file; made if absent
    archive : which archive, such as ``ORTHANC@127.0.0.1:4242``

    Raises
    ------
    StorageError
        If it cannot be opened or another process sends this session.
    """

    def __init__(self, path: Path, archive: str) -> None:
        self._path, self._archive = path, archive
        with self._named():
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("BEGIN EXCLUSIVE")
                self._db.execute(_SCHEMA)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file and let others in."""
        self._db.close()

    def enqueue(self, instances: Sequence[Instance]) -> None:
        """Put in what is not there yet; what was sent stays sent."""
        now = utc_now()
        rows = [(self._archive, one.sop_instance, one.name, now) for one in instances]
        with self._named(), self._db:
            self._db.execute("BEGIN")
            self._db.executemany(_ENQUEUE, rows)

    def mark_try(self, sop_instance: str) -> None:
        """Note that an instance is on its way now."""
        self._run(_TRY, (utc_now(), self._archive, sop_instance))

    def mark(self, sop_instance: str, status: Status, code: int | None, text: str) -> None:
        """Note how it went."""
        self._run(_MARK, (status, code, text, utc_now(), self._archive, sop_instance))

    def entries(self, instances: Sequence[Instance]) -> list[Entry]:
        """Return how these instances stand, in their order."""
        with self._named():
            rows = [
                self._db.execute(_READ, (self._archive, one.sop_instance)).fetchone()
                for one in instances
            ]
            keys = Entry.__struct_fields__
            return [
                msgspec.convert(dict(zip(keys, row, strict=True)), Entry) for row in rows if row
            ]

    def waiting(self, instances: Sequence[Instance]) -> list[Instance]:
        """Return those that no success or warning has come back for."""
        done = {one.sop_instance for one in self.entries(instances) if one.status in DONE}
        return [one for one in instances if one.sop_instance not in done]

    def _run(self, statement: str, values: tuple[object, ...]) -> None:
        with self._named():
            self._db.execute(statement, values)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, msgspec.ValidationError) as error:
            busy = "locked" in str(error)
            problem = "in use by another `stream send`" if busy else f"cannot be used: {error}"
            remedy = "wait for it" if busy else "see that its folder can be written"
            raise StorageError(str(self._path), problem, remedy) from error
