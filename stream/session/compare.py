"""Compares the journals of two replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stream.session.journal import JOURNAL_TABLES, open_reading

TIMING_COLUMNS = frozenset({"captured_ns", "preprocess_ns", "engine_ns"})


def first_difference(ours: Path, theirs: Path) -> str | None:
    """Compare two journals row by row, timing columns aside; return the first difference."""
    for table in JOURNAL_TABLES:
        left, right = _rows(ours, table), _rows(theirs, table)
        for number, (one, other) in enumerate(zip(left, right, strict=False)):
            if one != other:
                return f"table {table}, row {number} ({_describe(one, other)})"
        if len(left) != len(right):
            return f"table {table}: {len(left)} rows, expected {len(right)}"
    return None


def _rows(path: Path, table: str) -> list[dict[str, Any]]:
    with open_reading(path) as db:
        query = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - our own names
        rows = db.execute(query).fetchall()
    return [
        {
            key: value
            for key, value in zip(row.keys(), row, strict=True)
            if key not in TIMING_COLUMNS
        }
        for row in rows
    ]


def _describe(one: dict[str, Any], other: dict[str, Any]) -> str:
    key = next(k for k in one if one[k] != other.get(k))
    place = f"epoch {one['epoch']} seq {one['seq']}: " if "seq" in one else ""
    values = [
        v if not isinstance(v, bytes) else f"{len(v)} bytes" for v in (one[key], other.get(key))
    ]
    return f"{place}{key} is {values[0]!r}, expected {values[1]!r}"
