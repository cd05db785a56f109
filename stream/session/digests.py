"""A digest for every row of a live journal, so that a damaged row is never taken for a true one.

SQLite guards its write-ahead log with checksums, but not the file into which that log is folded.
A row counts while its digest is in the table `digests`, which only grows. A digest covers the
table's name and all columns.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

SCHEMA = "CREATE TABLE IF NOT EXISTS digests (digest INTEGER NOT NULL);\n"
Row = tuple[Any, ...]


class Covered(NamedTuple):
    """Columns of a table that the digests cover, and those that order its rows."""

    columns: Sequence[str]
    key: Sequence[str]


Tables = Mapping[str, Covered]


def row_digest(table: str, values: Sequence[Any]) -> int:
    """Return the digest of a row: 64 bits of BLAKE2b over the table's name and its values."""
    data = msgspec.msgpack.encode([table, *values])
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)


def add_digests(db: sqlite3.Connection, table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Note down the digests of rows that are written in the same transaction."""
    digests = [(row_digest(table, row),) for row in rows]
    db.executemany("INSERT INTO digests VALUES (?)", digests)


def hide_damaged(db: sqlite3.Connection, tables: Tables) -> dict[str, int]:
    """Put a temporary table before each one that is damaged, so that nobody reads wrong rows.

    Returns
    -------
    For each table that is damaged, how many rows were read and are wrong. Rows of a page that
    cannot be read are missing without being counted.

    Raises
    ------
    sqlite3.DatabaseError
        If the file holds no such tables any more.
    """
    db.text_factory = _decode  # a damaged letter must not stop the reading
    known = {digest for (digest,) in _read(db, "digests", Covered(("digest",), ("rowid",)))[0]}
    damaged = {}
    for table, covered in tables.items():
        rows, whole = _read(db, table, covered)
        good = [row for row in rows if row_digest(table, row) in known]
        if len(good) < len(rows) or not whole:
            damaged[table] = len(rows) - len(good)
            _hide(db, table, covered.columns, good)
    db.text_factory = str
    return damaged


def replace_damaged(db: sqlite3.Connection, tables: Tables) -> None:
    """Delete what `hide_damaged` would hide; the caller commits."""
    for table in hide_damaged(db, tables):
        names = ", ".join(tables[table].columns)
        copied = f"SELECT {names} FROM temp.{table}"  # noqa: S608 - our own names
        db.execute(f"DELETE FROM main.{table}")  # noqa: S608
        db.execute(f"INSERT INTO main.{table} ({names}) {copied}")
        db.execute(f"DROP TABLE temp.{table}")


def _hide(db: sqlite3.Connection, table: str, columns: Sequence[str], good: list[Row]) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    db.execute(f"CREATE TEMP TABLE {table} ({names})")
    db.executemany(f"INSERT INTO temp.{table} ({names}) VALUES ({marks})", good)  # noqa: S608


def _read(db: sqlite3.Connection, table: str, covered: Covered) -> tuple[list[Row], bool]:
    """Return the rows of a table, and whether it could be read through.

    Where a page in the middle is damaged, what lies before it is read forwards, and what lies
    after it backwards.
    """
    rows: list[Row] = []
    with suppress(sqlite3.DatabaseError):
        rows.extend(_scan(db, table, covered, "ASC"))
        return rows, True
    after: list[Row] = []
    with suppress(sqlite3.DatabaseError):
        after.extend(_scan(db, table, covered, "DESC"))
    seen = set(rows)
    return rows + [row for row in reversed(after) if row not in seen], False


def _scan(db: sqlite3.Connection, table: str, covered: Covered, way: str) -> Iterator[Row]:
    names = ", ".join(covered.columns)
    order = ", ".join(f"{name} {way}" for name in covered.key)
    for row in db.execute(f"SELECT {names} FROM main.{table} ORDER BY {order}"):  # noqa: S608
        yield tuple(row)


def _decode(data: bytes) -> str:
    return data.decode(errors="replace")
