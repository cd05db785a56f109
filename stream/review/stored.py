"""Reads what readers left beside a session, without opening any of it for adding."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stream.errors import UsageError
from stream.review.chain import TrailError, read_chain
from stream.review.clip import ReviewClip, read_clip
from stream.review.records import Labels, labels_of
from stream.review.trail import SUFFIX, trail_path
from stream.session.manifest import read_manifest
from stream.session.unsealed import settle_unsealed


def open_stored(folder: Path) -> ReviewClip:
    """Read a session, live or replayed; errors are those of `stream.review.clip.open_clip`."""
    return read_clip(folder, settle_unsealed(folder, read_manifest(folder)))


def read_labels(clip: ReviewClip, reader: str) -> Labels:
    """Return a reader's labels of a clip.

    Raises
    ------
    UsageError
        If there are none.
    TrailError
        If they were cut or changed, or are about another recording.
    """
    path = trail_path(clip.review_folder, reader)
    if not path.is_file():
        problem = f"no labels by reader {reader}"
        raise UsageError(str(clip.folder), problem, "review it first, or name another --reader")
    records = read_chain(path).records
    if any(record.session != clip.journal for record in records):
        problem = "is about another recording of the same name"
        raise TrailError(str(path), problem, "put it beside the session that it is about")
    return labels_of(records)


def read_readers(clip: ReviewClip) -> dict[str, Labels]:
    """Return the labels of every reader who judged something; errors as `read_labels`."""
    names = sorted(path.stem for path in clip.review_folder.glob(f"[!.]*{SUFFIX}"))
    found = {name: read_labels(clip, name) for name in names}
    return {name: labels for name, labels in found.items() if labels.calls}


def clip_id(clip: ReviewClip) -> str:
    """Return a name that tells clips apart and says nothing about the patient.

    A live session's source is another clip each time, so its journal names it.
    """
    given = clip.manifest.input
    named = clip.journal if clip.manifest.live else hashlib.sha256(given.uri.encode()).hexdigest()
    digest = given.info.sha256 or named
    return f"clip-{digest[:12]}"
