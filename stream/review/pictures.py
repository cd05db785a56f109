"""The pictures of a session again, from source or recording, checked against the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator

from engines.pixels import Pixels
from stream.errors import SourceError
from stream.live.recorder.again import Pictures as Recorded
from stream.review.clip import ReviewClip
from stream.session.journal import open_reading
from stream.session.manifest import JOURNAL
from stream.sources.open import SourceOptions, open_source

_CHANGED = "review the file that was analysed, or analyse this one"


def filmed_frames(clip: ReviewClip) -> list[int]:
    """Return which frames of the clip have a picture: all of a replay, those recorded of live.

    Raises
    ------
    SourceError
        If a live session has neither a recording nor a source that gives its pictures again.
    StorageError
        If the journal cannot be read.
    """
    if clip.manifest.live is None:
        return list(range(len(clip.places)))
    index = clip.index
    with open_reading(clip.folder / JOURNAL) as db:
        return [index[row["epoch"], row["seq"]] for row in _recorded(clip, db)[1]]


def read_pictures(clip: ReviewClip) -> Generator[tuple[int, Pixels]]:
    """Yield the place in the clip and the picture of each of `filmed_frames`, in order.

    Raises
    ------
    SourceError
        If the pictures cannot be had, or are not those that the journal is about.
    StorageError
        If the journal cannot be read.
    """
    return _replayed(clip) if clip.manifest.live is None else _live(clip)


def _replayed(clip: ReviewClip) -> Generator[tuple[int, Pixels]]:
    given = clip.manifest.input
    options = SourceOptions(stream_index=given.stream_index)
    with open_source(given.uri, session="review", options=options) as source:
        name = source.info.name
        if source.info.sha256 != given.info.sha256:
            problem = "is not the file that was analysed: its SHA-256 is another"
            raise SourceError(name, problem, _CHANGED)
        count = 0
        for index, frame in zip(range(len(clip.places)), source, strict=False):
            place = frame.id.epoch, frame.id.seq
            if place != clip.places[index] or frame.pts_ns != clip.pts_ns[index]:
                raise SourceError(name, f"frame {index} is not the one analysed", _CHANGED)
            yield index, frame.pixels
            count += 1
    if count < len(clip.places):
        problem = f"{count} frames decoded, {len(clip.places)} were analysed"
        raise SourceError(name, problem, _CHANGED)


def _live(clip: ReviewClip) -> Generator[tuple[int, Pixels]]:
    index = clip.index
    with open_reading(clip.folder / JOURNAL) as db:
        pictures, rows = _recorded(clip, db)
        for row, pixels in pictures.of(rows):
            yield index[row["epoch"], row["seq"]], pixels


def _recorded(clip: ReviewClip, db: sqlite3.Connection) -> tuple[Recorded, list[sqlite3.Row]]:
    pictures = Recorded(clip.folder, clip.manifest, db)
    rows = db.execute("SELECT * FROM frames ORDER BY seq").fetchall()
    return pictures, pictures.had(rows)
