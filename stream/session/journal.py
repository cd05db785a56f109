"""The journal of a session: one SQLite file with a row per frame, key frame and event."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from stream.closing import Closing
from stream.errors import StorageError
from stream.frame import State
from stream.session.digests import Covered, Tables, hide_damaged

FLUSH_NS = 100_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS frames (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, pts_ns INTEGER, time_ns INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, probs TEXT, smoothed TEXT, label TEXT NOT NULL,
    distance REAL, captured_ns INTEGER NOT NULL, preprocess_ns INTEGER NOT NULL,
    engine_ns INTEGER NOT NULL, PRIMARY KEY (epoch, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ranked (
    rank INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    time_ns INTEGER NOT NULL, score REAL NOT NULL, score_parts TEXT NOT NULL,
    displaced TEXT, image_png BLOB NOT NULL, cam_shape TEXT NOT NULL, cam BLOB NOT NULL,
    explained BLOB, features BLOB, pinned INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""


class FrameRow(NamedTuple):
    """One frame; `probs` and `smoothed` are JSON lists, None where there was no answer."""

    epoch: int
    seq: int
    pts_ns: int | None
    time_ns: int
    state: State
    reason: str
    probs: str | None
    smoothed: str | None
    label: str
    distance: float | None
    captured_ns: int
    preprocess_ns: int
    engine_ns: int


class RankedRow(NamedTuple):
    """One key frame.

    `cam` holds float32 little-endian of shape `cam_shape` (a JSON list); `explained` likewise, of
    the model input's height and width, or None where it was not asked for; `features` likewise, of
    shape (D,). `pinned` is 1 for a frame that the operator kept.
    """

    rank: int
    epoch: int
    seq: int
    time_ns: int
    score: float
    score_parts: str
    displaced: str | None
    image_png: bytes
    cam_shape: str
    cam: bytes
    explained: bytes | None = None
    features: bytes | None = None
    pinned: int = 0


class EventRow(NamedTuple):
    """Something that happened at a frame."""

    epoch: int
    seq: int
    kind: str
    text: str


JOURNAL_TABLES: Tables = {
    "frames": Covered(FrameRow._fields, ("epoch", "seq")),
    "ranked": Covered(RankedRow._fields, ("rank",)),
    "events": Covered(("number", *EventRow._fields), ("number",)),
    "ledger": Covered(("name", "count"), ("name",)),
}
LIVE_TABLES: Tables = {
    **JOURNAL_TABLES,
    "losses": Covered(("first_seq", "last_seq", "name", "reason"), ("first_seq",)),
    "epochs": Covered(
        ("epoch", "first_seq", "first_index", "size_wh", "box_xyxy", "outline", "cause"),
        ("epoch",),
    ),
    "recorded": Covered(("epoch", "seq", "file", "place"), ("epoch", "seq")),
}
"""What the digests of a live journal cover."""


class Journal(Closing):
    """Writes a journal; rows are committed every 100 ms and all of them on close.

    A file that is there already is gone on with.

    Parameters
    ----------
    path : file to create or to go on with

    Raises
    ------
    StorageError
        From every method, if the file cannot be written.
    """

    schema = _SCHEMA
    synchronous = "NORMAL"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[FrameRow] = []
        self._flushed_ns = time.monotonic_ns()
        with storage_errors(path):
            self._db = sqlite3.connect(path, check_same_thread=False)  # one at a time
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={self.synchronous}")
            self._db.executescript(self.schema)

    def add_frame(self, row: FrameRow) -> None:
        """Add one frame."""
        self._rows.append(row)
        self.flush_if_due()

    def add_event(self, row: EventRow) -> None:
        """Add one event, numbered in order."""
        self._insert("events (epoch, seq, kind, text)", [row])

    def withdraw(self, first_seq: int, last_seq: int, reason: str) -> None:
        """Mark the answers to these frames: their state says so, probs are gone.

        The events of frames that were kept or pinned are marked too, and no key frame is left of
        them. All is committed at once.
        """
        self.flush()
        with storage_errors(self._path):
            self._mark_withdrawn((first_seq, last_seq), reason)
        self.flush()

    def _mark_withdrawn(self, span: tuple[int, int], reason: str) -> None:
        self._db.execute(
            "UPDATE events SET kind = kind || ', withdrawn'"
            " WHERE kind IN ('kept', 'pinned') AND seq BETWEEN ? AND ?",
            span,
        )
        self._db.execute("DELETE FROM ranked WHERE seq BETWEEN ? AND ?", span)
        self._db.execute(
            "UPDATE frames SET state = 'withdrawn', reason = ?, probs = NULL, smoothed = NULL,"
            " label = '', distance = NULL WHERE seq BETWEEN ? AND ? AND probs IS NOT NULL",
            (reason, *span),
        )

    def seal(self, ranked: list[RankedRow], ledger: Mapping[str, int]) -> None:
        """Add the key frames and the ledger."""
        self._insert("ranked", ranked)
        self._insert("ledger", list(ledger.items()))
        self.flush()

    def close(self) -> None:
        """Write what is left and fold the write-ahead log into the one file."""
        with storage_errors(self._path), closing(self._db):
            self.flush()
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("PRAGMA journal_mode=DELETE")

    def flush_if_due(self) -> None:
        """Commit what was added, if the last commit is long enough ago."""
        if time.monotonic_ns() - self._flushed_ns >= FLUSH_NS:
            self.flush()

    def flush(self) -> None:
        """Commit what was added."""
        rows, self._rows = self._rows, []
        self._flushed_ns = time.monotonic_ns()
        self._insert("frames", rows)
        with storage_errors(self._path):
            self._db.commit()

    def _insert(self, table: str, rows: Sequence[Any], *, or_ignore: bool = False) -> None:
        if rows:
            marks, how = ", ".join("?" * len(rows[0])), "OR IGNORE " if or_ignore else ""
            with storage_errors(self._path):
                statement = f"INSERT {how}INTO {table} VALUES ({marks})"  # noqa: S608 - our own names
                self._db.executemany(statement, rows)

    def _replace(self, table: str, rows: Sequence[Any]) -> None:
        with storage_errors(self._path):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        self._insert(table, rows)


@contextmanager
def open_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a journal for reading only; rows come as `sqlite3.Row`.

    Of a live journal the rows that are damaged are left out; see `damage_of`.

    Raises
    ------
    StorageError
        If the file is absent or not a journal.
    """
    if not path.is_file():
        raise StorageError(str(path), "no journal here", "give a session folder")
    with (
        storage_errors(path, "the file is damaged or no journal"),
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db,
    ):
        _leave_out(db)
        db.row_factory = sqlite3.Row
        yield db


def damage_of(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many damaged rows `open_reading` left out, for each table that is damaged."""
    return dict(tuple(row) for row in db.execute("SELECT name, count FROM temp.damage"))


def _leave_out(db: sqlite3.Connection) -> None:
    """Hide damaged rows where there are digests; `Journal` alone, which a replay writes, has none.

    A live journal is known by any of its own tables, so that one damaged name hides nothing.
    """
    db.execute("CREATE TEMP TABLE damage (name TEXT, count INTEGER)")
    names = {name for (name,) in db.execute("SELECT name FROM main.sqlite_master")}
    if names & (LIVE_TABLES.keys() - JOURNAL_TABLES.keys() | {"digests"}):
        damaged = hide_damaged(db, LIVE_TABLES)
        db.executemany("INSERT INTO damage VALUES (?, ?)", damaged.items())


def count_rows(path: Path) -> int:
    """Return the number of frames in a journal.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    with open_reading(path) as db:
        return int(db.execute("SELECT count(*) FROM frames").fetchone()[0])


@contextmanager
def storage_errors(path: Path, remedy: str = "check space and permissions") -> Iterator[None]:
    """Turn an error of SQLite into a `StorageError` about `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(str(path), f"journal: {error}", remedy) from error
