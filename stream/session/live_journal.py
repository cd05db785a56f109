"""The journal of a live session: what was lost, how the source changed, what was recorded."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from engines.pixels import Pixels
from stream.analysis.topk import RankedFrame
from stream.frame import Frame, FrameId, Prediction, StageTimes
from stream.session.account import Loss
from stream.session.content import decode_png
from stream.session.digests import SCHEMA, add_digests, replace_damaged
from stream.session.journal import (
    FLUSH_NS,
    LIVE_TABLES,
    EventRow,
    FrameRow,
    Journal,
    RankedRow,
    open_reading,
    storage_errors,
)
from stream.session.ledger import LOSSES, NAMES

assert FLUSH_NS <= 100_000_000, "F30: what is older than 100 ms is on the disk"

_LIVE_SCHEMA = """
CREATE TABLE IF NOT EXISTS losses (
    first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, name TEXT NOT NULL,
    reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS epochs (
    epoch INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, first_index INTEGER NOT NULL,
    size_wh TEXT NOT NULL, box_xyxy TEXT NOT NULL, outline TEXT NOT NULL, cause TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS recorded (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, file TEXT NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq)) WITHOUT ROWID;
"""


class EpochRow(NamedTuple):
    """One epoch; lists as JSON, see `stream.live.wire.messages.EpochNote`."""

    epoch: int
    first_seq: int
    first_index: int
    size_wh: str
    box_xyxy: str
    outline: str
    cause: str


class RecordedRow(NamedTuple):
    """Where a frame lies in the recorded video: file in the session folder, place from 0."""

    epoch: int
    seq: int
    file: str
    place: int


class Settled(NamedTuple):
    """What a journal holds so far.

    Parameters
    ----------
    until : frames below this seq are settled
    labels : valid frames by smoothed label
    ranked : its key frames; pinned ones apart
    withdrawals : what was taken back in words, by the last frame of each
    """

    until: int
    labels: dict[str, int]
    ranked: list[RankedFrame]
    pinned: list[RankedFrame]
    withdrawals: dict[int, str]


_WITHDRAWALS = "SELECT seq, text FROM events WHERE kind = 'withdrawn'"
NOTHING_SETTLED = Settled(0, {}, [], [], {})


class LiveJournal(Journal):
    """A journal that a recorder can take up again after a crash.

    Every commit is synced, so what was committed survives a loss of power; every row has a digest.
    Nothing is committed but by `flush` and `withdraw`: what belongs together goes together.
    """

    schema = Journal.schema + _LIVE_SCHEMA + SCHEMA
    synchronous = "FULL"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with storage_errors(path):
            replace_damaged(self._db, LIVE_TABLES)
            self._db.commit()
            last = self._db.execute("SELECT coalesce(max(number), 0) FROM events").fetchone()
        self._events = int(last[0])

    @property
    def due(self) -> bool:
        """The last commit is 100 ms ago."""
        return time.monotonic_ns() - self._flushed_ns >= FLUSH_NS

    def add_frame(self, row: FrameRow) -> None:
        """Add one frame."""
        self._rows.append(row)

    def add_event(self, row: EventRow) -> None:
        """Add one event; its number is covered by its digest."""
        self._events += 1
        self._insert("events", [(self._events, *row)])

    def add_losses(self, losses: list[Loss]) -> None:
        """Add runs of frames that nobody answered for."""
        self._insert("losses", losses)

    def add_epoch(self, row: EpochRow) -> bool:
        """Add an epoch; False for a second note of the same one, which changes nothing."""
        before = self._db.total_changes
        with storage_errors(self._path):
            super()._insert("epochs", [row], or_ignore=True)
            if self._db.total_changes == before:
                return False
            add_digests(self._db, "epochs", [row])
        return True

    def add_recorded(self, row: RecordedRow) -> None:
        """Add the place of a frame in the recorded video."""
        self._insert("recorded", [row])

    def save_ranked(self, rows: list[RankedRow]) -> None:
        """Replace the key frames."""
        self._replace("ranked", rows)

    def save_ledger(self, totals: Mapping[str, int]) -> None:
        """Replace the ledger."""
        self._replace("ledger", list(totals.items()))
        self.flush()

    def gaps(self, grabbed: int) -> list[tuple[int, int]]:
        """Return the runs of frames below `grabbed` that are neither answered nor lost."""
        with storage_errors(self._path):
            if sum(_count_settled(self._db).values()) == grabbed:
                return []  # each frame is settled once; looking at every row takes seconds
            return _gaps(self._db, grabbed)

    def count(self, grabbed: int) -> dict[str, int]:
        """Return the ledger; see `count_ledger`."""
        with storage_errors(self._path):
            return count_ledger(self._db, grabbed)

    def labels(self) -> dict[str, int]:
        """Return how many frames have each smoothed label."""
        with storage_errors(self._path):
            return count_labels(self._db)

    def abandon(self) -> None:
        """Close without what was not committed; may be called twice."""
        self._db.close()

    def _insert(self, table: str, rows: Sequence[Any], *, or_ignore: bool = False) -> None:
        super()._insert(table, rows, or_ignore=or_ignore)
        with storage_errors(self._path):
            add_digests(self._db, table, rows)

    def _mark_withdrawn(self, span: tuple[int, int], reason: str) -> None:
        super()._mark_withdrawn(span, reason)
        changed = {"frames": "state = 'withdrawn'", "events": "kind LIKE '%, withdrawn'"}
        for table, condition in changed.items():
            columns = ", ".join(LIVE_TABLES[table].columns)
            query = f"SELECT {columns} FROM {table} WHERE {condition} AND seq BETWEEN ? AND ?"  # noqa: S608
            add_digests(self._db, table, self._db.execute(query, span).fetchall())


def count_ledger(db: sqlite3.Connection, grabbed: int) -> dict[str, int]:
    """Return the ledger: every frame below `grabbed` once, by what the journal says of it.

    Frames of which it says nothing are not recorded.
    """
    totals = dict.fromkeys(NAMES, 0) | _count_settled(db)
    totals["not_recorded"] += max(0, grabbed - sum(totals.values()))
    return totals | {"grabbed": grabbed}


def _count_settled(db: sqlite3.Connection) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for state, count in db.execute("SELECT state, count(*) FROM frames GROUP BY state"):
        totals[LOSSES.get(state, "analysed")] += count
    losses = "SELECT name, sum(last_seq - first_seq + 1) FROM losses GROUP BY name"
    for name, count in db.execute(losses):
        totals[name] += count
    return totals


def _gaps(db: sqlite3.Connection, grabbed: int) -> list[tuple[int, int]]:
    runs = "SELECT seq, seq FROM frames UNION ALL SELECT first_seq, last_seq FROM losses ORDER BY 1"
    found, start = [], 0
    for first, last in db.execute(runs):
        if start < first:
            found.append((start, first - 1))
        start = max(start, last + 1)
    if start < grabbed:
        found.append((start, grabbed - 1))
    return found


def read_settled(path: Path, session: str, digest: str = "") -> Settled:
    """Read what a recorder needs to go on with a journal.

    Raises
    ------
    StorageError
        If the journal cannot be read.
    """
    with open_reading(path) as db:
        rows = db.execute(
            "SELECT * FROM ranked JOIN frames USING (epoch, seq)"
            " WHERE probs IS NOT NULL ORDER BY rank"  # a withdrawal may have been the last word
        )
        kept = [(_ranked_frame(row, session, digest), bool(row["pinned"])) for row in rows]
        return Settled(
            until=settled_until(db),
            labels=count_labels(db),
            ranked=[frame for frame, pinned in kept if not pinned],
            pinned=[frame for frame, pinned in kept if pinned],
            withdrawals=dict(tuple(row) for row in db.execute(_WITHDRAWALS)),
        )


def settled_until(db: sqlite3.Connection) -> int:
    """Return the seq below which the journal settles frames."""
    ends = "SELECT max(seq) s FROM frames UNION SELECT max(last_seq) FROM losses"
    last = db.execute(f"SELECT max(s) FROM ({ends})").fetchone()[0]  # noqa: S608 - constant
    return 0 if last is None else int(last) + 1


def count_labels(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many frames have each smoothed label."""
    labels = "SELECT label, count(*) FROM frames WHERE label != '' GROUP BY label"
    return dict(tuple(row) for row in db.execute(labels))


def _ranked_frame(row: sqlite3.Row, session: str, digest: str) -> RankedFrame:
    identity = FrameId(session, row["epoch"], row["seq"])
    image = decode_png(row["image_png"])
    shape = msgspec.json.decode(row["cam_shape"])
    prediction = Prediction(
        id=identity,
        state=row["state"],
        reason=row["reason"],
        probs=np.array(msgspec.json.decode(row["probs"]), np.float32),
        cam=np.frombuffer(row["cam"], "<f4").reshape(shape),
        features=np.frombuffer(row["features"], "<f4"),
        distance=row["distance"],
        times=StageTimes(row["preprocess_ns"], row["engine_ns"]),
        model_digest=digest,
    )
    frame = Frame(identity, Pixels((image,)), row["captured_ns"], row["pts_ns"], "")
    parts = msgspec.json.decode(row["score_parts"])
    gone = row["displaced"]
    return RankedFrame(
        frame,
        prediction,
        row["time_ns"],
        row["score"],
        parts,
        rank=row["rank"],
        displaced=FrameId(session, *map(int, gone.split(":"))) if gone else None,
    )
