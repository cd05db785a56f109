"""The audit trail of one reader: a file that is only ever added to, synced before any answer."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from pathlib import Path

import msgspec

from stream.closing import Closing
from stream.errors import StorageError, UsageError
from stream.report.files import cannot_write, write_whole
from stream.review.chain import Head, TrailError, encode_line, head_path, read_chain
from stream.review.records import Field, Key, Record, Target, Value, What
from stream.session.manifest import utc_now

SUFFIX = ".jsonl"
_READER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded; fields as in `Record`."""

    what: What
    target: Target = None
    field: Field = ""
    new: Value = None
    undoes: int | None = None
    about: str = ""


def trail_path(folder: Path, reader: str) -> Path:
    """Return the file of a reader.

    Raises
    ------
    UsageError
        If the name is not fit for a file.
    """
    if not _READER.fullmatch(reader):
        remedy = "1 to 40 letters, digits, - or _, the first a letter or digit"
        raise UsageError(f"reader {reader!r}", "cannot name a file", remedy, fault="C08")
    return folder / f"{reader}{SUFFIX}"


class Trail(Closing):
    """A reader's trail, open for adding; nobody else can open it meanwhile.

    Parameters
    ----------
    path : from `trail_path`; made if absent
    session : digest of the journal that is reviewed

    Raises
    ------
    TrailError
        If it was cut or changed, or belongs to another journal.
    StorageError
        If it cannot be written, or is open elsewhere.
    """

    def __init__(self, path: Path, session: str) -> None:
        self._path, self._session, self._began_ns = path, session, time.monotonic_ns()
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            self._lock()
            self._load()
        except BaseException:
            self._file.close()
            raise

    @property
    def records(self) -> tuple[Record, ...]:
        """All records, oldest first."""
        return tuple(self._records)

    @property
    def values(self) -> dict[Key, Value]:
        """What stands, by field and target."""
        return dict(self._values)

    def add(self, change: Change) -> Record:
        """Record a change and return it once it is on the disk.

        Raises
        ------
        StorageError
            If it cannot be written; then nothing was recorded.
        """
        record = Record(
            number=self._head.number + 1,
            previous=self._head.digest,
            session=self._session,
            reader=self._path.stem,
            wall=utc_now(),
            elapsed_ms=(time.monotonic_ns() - self._began_ns) // 1_000_000,
            old=self._values.get((change.field, change.target)) if change.field else None,
            **msgspec.structs.asdict(change),
        )
        self._write(record)
        if change.field:
            self._values[change.field, change.target] = change.new
        self._records.append(record)
        return record

    def close(self) -> None:
        """Let others open it; may be called twice."""
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            problem = f"reader {self._path.stem} has this session open already"
            raise StorageError(str(self._path), problem, "close that one first") from error

    def _load(self) -> None:
        self._records, self._head, size, self._values = read_chain(self._path)
        other = next((r for r in self._records if r.session != self._session), None)
        if other is not None:
            problem = f"record {other.number} is about another recording of the same name"
            raise TrailError(str(self._path), problem, "give the session another folder")
        self._cut(size)
        self._write_head(self._head)

    def _write(self, record: Record) -> None:
        line, digest = encode_line(record)
        size = os.fstat(self._file.fileno()).st_size
        head = Head(record.number, digest)
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
            self._write_head(head)
        except OSError as error:
            self._cut(size)
            raise cannot_write(self._path, error) from error
        except StorageError:
            self._cut(size)
            raise
        self._head = head

    def _cut(self, size: int) -> None:
        """Take away a line that was never finished."""
        try:
            if os.fstat(self._file.fileno()).st_size > size:
                self._file.truncate(size)
                os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _write_head(self, head: Head) -> None:
        write_whole(head_path(self._path), msgspec.json.encode(head) + b"\n")
