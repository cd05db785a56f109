"""The pictures of a session again, from source or recording, checked against the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import suppress
from itertools import pairwise

from engines.pixels import Pixels
from stream.errors import SourceError
from stream.live.recorder.again import Pictures as Recorded
from stream.review.clip import ReviewClip
from stream.session.journal import open_reading
from stream.session.manifest import JOURNAL
from stream.sources.nursery import Nursery
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


def read_pictures(
    clip: ReviewClip, start: int = 0, nursery: Nursery | None = None
) -> Generator[tuple[int, Pixels]]:
    """Yield the place in the clip and the picture of each of `filmed_frames`, in order.

    Parameters
    ----------
    start : frame to begin with; where the source cannot be begun there, all are yielded
    nursery : where the child comes from that decodes

    Raises
    ------
    SourceError
        If the pictures cannot be had, or are not those that the journal is about.
    StorageError
        If the journal cannot be read.
    """
    return _replayed(clip, start, nursery) if clip.manifest.live is None else _live(clip)


def _replayed(
    clip: ReviewClip, start: int, nursery: Nursery | None
) -> Generator[tuple[int, Pixels]]:
    """Begin at `start`; once anything is odd then, read on as from the first frame."""
    reached = 0
    if start and _is_even(clip):
        with suppress(SourceError):  # the whole tells what is wrong
            for index, pixels in _read(clip, start, nursery):
                yield index, pixels
                reached = index + 1
            return
    for index, pixels in _read(clip, 0, nursery):
        if index >= reached:
            yield index, pixels


def _is_even(clip: ReviewClip) -> bool:
    """Say whether the time of a frame tells which it is, and no frame rests on damaged ones."""
    timed = all(a is not None and b is not None and a < b for a, b in pairwise(clip.pts_ns))
    whole = clip.places[-1] == (0, len(clip.places) - 1)
    return timed and whole and "damaged" not in clip.states


def _read(clip: ReviewClip, start: int, nursery: Nursery | None) -> Generator[tuple[int, Pixels]]:
    """Read to the end from `start`, or from the first frame if the source begins with it."""
    given, begun, index = clip.manifest.input, 0, -1
    start_ns = clip.pts_ns[start] if start else None
    options = SourceOptions(stream_index=given.stream_index, start_ns=start_ns)
    with open_source(given.uri, session="review", options=options, nursery=nursery) as source:
        name = source.info.name
        if source.info.sha256 != given.info.sha256:
            problem = "is not the file that was analysed: its SHA-256 is another"
            raise SourceError(name, problem, _CHANGED)
        for frame in source:
            if frame.id.seq == 0 and frame.pts_ns == start_ns:
                begun = start
            index = begun + frame.id.seq
            place, doubtful = (frame.id.epoch, index), begun and frame.damage
            if place != clip.places[index] or frame.pts_ns != clip.pts_ns[index] or doubtful:
                raise SourceError(name, f"frame {index} is not the one analysed", _CHANGED)
            yield index, frame.pixels
            if index + 1 == len(clip.places):
                return
    problem = f"{index + 1} frames decoded, {len(clip.places)} were analysed"
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
