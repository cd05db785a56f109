"""A row of the work list as the rest of the archive sees it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stream.archive.records import Facts, Found, Kind, State

COLUMNS = (
    "path, kind, size, mtime_ns, session, state, removed, sha256, exit_code, fault, text, facts"
)


class Row(NamedTuple):
    """A recording and what became of it."""

    recording: Found
    session: str
    state: State
    removed: bool
    sha256: str
    exit_code: int | None
    fault: str
    text: str
    facts: Facts | None


def decode_row(
    values: tuple[bytes, Kind, int, int, str, State, int, str, int | None, str, str, str],
) -> Row:
    """Return a row from the values of `COLUMNS`, checked.

    Raises
    ------
    msgspec.MsgspecError
        If they are not what the work list holds.
    """
    *place, session, state, removed, sha256, exit_code, fault, text, facts = values
    known = msgspec.json.decode(facts, type=Facts) if facts else None
    found = msgspec.convert(
        dict(zip(("path", "kind", "size", "mtime_ns"), place, strict=True)), Found
    )
    return Row(found, session, state, bool(removed), sha256, exit_code, fault, text, known)
