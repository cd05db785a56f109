"""Finds the recordings below a folder, as `stream replay` would, and tells when one changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from stream.archive.records import Found
from stream.errors import SourceError
from stream.sources.discover import STILL_SUFFIXES, find_clips
from stream.sources.open import source_info
from stream.sources.regular import digest_file, open_regular

_NAME_DIGITS = 12
_NAME_LETTERS = 60


def scan(root: Path) -> list[Found]:
    """Return every recording below `root`, and every folder that cannot be listed.

    Hidden files and linked folders are left out, as `stream.sources.discover` does; a linked file
    stands for itself. Nothing is opened.

    Raises
    ------
    SourceError
        V21 if `root` is no folder or cannot be listed; V01 if there is nothing in it.
    """
    if not root.is_dir():
        raise SourceError(str(root), "is no folder", "give a folder of recordings", fault="V21")
    closed = [_closed(root, error) for error in _refusals(root)]
    if any(found.path == b"." for found in closed):
        raise SourceError(str(root), closed[0].problem, "give a readable folder", fault="V21")
    try:
        clips = find_clips([str(root)])
    except SourceError:
        if not closed:
            raise
        clips = []
    return [*(_look(root, Path(clip)) for clip in clips), *closed]


def session_name(path: bytes) -> str:
    """Return the name of a recording's session folder: readable, harmless, and its alone.

    Parameters
    ----------
    path : of the recording, relative; the name depends on nothing else
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", str(Path(os.fsdecode(path)).with_suffix("")))
    digest = hashlib.sha256(path).hexdigest()[:_NAME_DIGITS]
    return f"{stem[-_NAME_LETTERS:].strip('-.') or 'clip'}-{digest}"


def digest_of(root: Path, found: Found) -> str:
    """Return the sha256 of a recording as its manifest has it; empty when it cannot be read."""
    path = str(root / os.fsdecode(found.path))
    try:
        if found.kind == "stills":
            return source_info(path)[0].sha256  # over names and files, read in the sandbox
        with open_regular(path) as file:
            return digest_file(file)
    except (SourceError, OSError):
        return ""


def look_again(root: Path, found: Found) -> Found:
    """Return the recording as it lies there now."""
    return _look(root, root / os.fsdecode(found.path))


def _look(root: Path, path: Path) -> Found:
    relative = os.fsencode(path.relative_to(root))
    if path.is_dir():
        facts = [_stat(still) for still in _stills(path)]
        size = sum(size for size, _ in facts if size > 0)
        return Found(relative, "stills", size, max(time for _, time in [*facts, _stat(path)]))
    return Found(relative, "file", *_stat(path))


def _stat(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError:
        return -1, 0
    return facts.st_size, facts.st_mtime_ns


def _stills(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if not path.name.startswith(".") and path.suffix.lower() in STILL_SUFFIXES:
            yield path


def _refusals(root: Path) -> list[OSError]:
    errors: list[OSError] = []
    for _, names, _ in os.walk(root, onerror=errors.append):
        names[:] = [name for name in names if not name.startswith(".")]
    return errors


def _closed(root: Path, error: OSError) -> Found:
    path = os.fsencode(Path(error.filename).relative_to(root))
    return Found(path, "folder", -1, 0, f"cannot be listed ({error.strerror})")
