"""What the table says of a recording, read from its session folder alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from stream.archive.records import Facts
from stream.errors import StorageError
from stream.session.journal import open_reading
from stream.session.manifest import JOURNAL, Manifest


def read_facts(folder: Path, manifest: Manifest) -> Facts:
    """Gather the facts of a session.

    Parameters
    ----------
    folder : session folder with a journal
    manifest : of that session

    Raises
    ------
    StorageError
        If the journal cannot be read.
    """
    spec, verdict = manifest.model.spec, manifest.verdict
    with open_reading(folder / JOURNAL) as db:
        return Facts(
            label=verdict.label,
            share=verdict.share,
            finding=verdict.label == spec.positive_class,
            best_score=_one(db, "SELECT max(score) FROM ranked"),
            peak=_one(
                db,
                "SELECT max(json_extract(smoothed, ?)) FROM frames WHERE smoothed IS NOT NULL",
                f"$[{spec.positive_index}]",
            ),
            threshold=spec.threshold,
            margin=manifest.config.margin,
            frames=verdict.total,
            valid=verdict.valid,
            duration_s=_duration_s(db),
            partial=manifest.partial or not manifest.complete,
            problems=manifest.problems,
        )


def _one(db: sqlite3.Connection, query: str, *values: str) -> float | None:
    try:
        (value,) = db.execute(query, values).fetchone()
    except sqlite3.Error as error:
        raise StorageError("journal", f"cannot be read: {error}") from error
    return None if value is None else float(value)


def _duration_s(db: sqlite3.Connection) -> float | None:
    """Return the time from the first frame to the end of the last, which lasts the mean period."""
    query = "SELECT count(*), count(pts_ns), max(time_ns) - min(time_ns) FROM frames"
    count, timed, span_ns = db.execute(query).fetchone()
    if not timed or count < 2:
        return None
    return float(span_ns * 1e-9 * count / (count - 1))
