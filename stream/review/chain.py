"""The file format of an audit trail, and the check that nothing in it was cut or changed.

A line is a record with its SHA-256; each record names the digest of the one before. The file
``.head`` beside it says how many there are and which is the last, so that a missing end shows too.
This finds damage and careless editing; whoever can write both files and knows the rule can still
make another trail.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from stream.errors import StorageError
from stream.review.records import Key, Record, Value, values_of

NO_DIGEST = "0" * 64
MAX_BYTES = 64 << 20


class TrailError(StorageError):
    """A trail that is not as it was written."""


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digest: str
    record: msgspec.Raw


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many records a trail has, and the digest of the last."""

    number: int = 0
    digest: str = NO_DIGEST


class Chain(NamedTuple):
    """A trail as read: its records, where they end in the file, and what stands after them."""

    records: list[Record]
    head: Head
    size: int
    values: dict[Key, Value]


def encode_line(record: Record) -> tuple[bytes, str]:
    """Return the line of a record and its digest."""
    raw = msgspec.json.encode(record)
    digest = hashlib.sha256(raw).hexdigest()
    return _line(digest, raw), digest


def head_path(path: Path) -> Path:
    """Return the file with the head of a trail."""
    return path.with_suffix(".head")


def read_chain(path: Path) -> Chain:
    """Read a trail; a last line that was never finished, and so never answered, does not count.

    Raises
    ------
    TrailError
        If it was cut or changed; names the record.
    """
    data = _read(path)
    whole = data[: data.rfind(b"\n") + 1]
    stated = _stated(path)
    records: list[Record] = []
    head = Head()
    for number, line in enumerate(whole.splitlines(keepends=True), 1):
        record, digest = _parse(path, number, line)
        if record.number != number or record.previous != head.digest:
            raise _broken(path, f"what stood before record {record.number} is missing or changed")
        if record.reader != path.stem:
            raise _broken(path, f"record {number} is by {record.reader!r}")
        if stated.number == number and stated.digest != digest:
            raise _broken(path, f"record {number} is another than the one written then")
        head = Head(number, digest)
        records.append(record)
    if stated.number > head.number:
        raise _broken(path, f"records {head.number + 1} to {stated.number} are missing")
    if stated.number < head.number - 1:  # one more is a record that a crash left unanswered
        raise _broken(head_path(path), f"knows {stated.number} of {head.number} records")
    return Chain(records, head, len(whole), _values(path, records))


def _parse(path: Path, number: int, line: bytes) -> tuple[Record, str]:
    try:
        parsed = msgspec.json.decode(line, type=_Line)
        record = msgspec.json.decode(parsed.record, type=Record)
    except msgspec.MsgspecError as error:
        raise _broken(path, f"record {number} was changed: {error}") from error
    raw = bytes(parsed.record)
    digest = hashlib.sha256(raw).hexdigest()
    if digest != parsed.digest or line != _line(digest, raw):
        raise _broken(path, f"record {number} was changed")
    return record, digest


def _stated(path: Path) -> Head:
    head = head_path(path)
    try:
        return msgspec.json.decode(head.read_bytes(), type=Head) if head.exists() else Head()
    except (OSError, msgspec.MsgspecError) as error:
        raise _broken(head, f"cannot be read: {error}") from error


def _values(path: Path, records: list[Record]) -> dict[Key, Value]:
    try:
        return values_of(records)
    except ValueError as error:
        raise _broken(path, str(error)) from error


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _broken(path, f"larger than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise StorageError(str(path), f"cannot be read: {error.strerror}") from error


def _line(digest: str, raw: bytes) -> bytes:
    return b'{"digest":"%s","record":%s}\n' % (digest.encode(), raw)


def _broken(path: Path, problem: str) -> TrailError:
    return TrailError(str(path), problem, "restore it from a copy; nothing is added to it")
