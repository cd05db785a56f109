"""Turns paths and folders into clips."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from stream.errors import SourceError

PHANTOM = "phantom:"
SESSION_FILES = frozenset({"manifest.json", "journal.sqlite"})
CLIP_SUFFIXES = frozenset(
    (
        ".mp4",
        ".m4v",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".mpg",
        ".mpeg",
        ".mpe",
        ".ts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".ogv",
        ".3gp",
        ".gif",
        ".dcm",
        ".dicom",
    )
)
STILL_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
)


def find_clips(paths: Sequence[str]) -> list[str]:
    """Expand folders: each clip below one by one, and each folder that holds stills as one clip.

    Session folders are left out, so what a run wrote is never taken for input.

    Files and phantom addresses stand for themselves, whatever their suffix.

    Raises
    ------
    SourceError
        If a folder holds nothing that looks like a clip.
    """
    return [clip for path in paths for clip in _expand(path)]


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which ``img2`` comes before ``img10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _expand(path: str) -> list[str]:
    if path.startswith(PHANTOM) or not Path(path).is_dir():
        return [path]
    clips = list(_below(Path(path)))
    if not clips:
        remedy = "expected videos, DICOM files or stills"
        raise SourceError(path, "no clip in this folder", remedy, fault="V01")
    return clips


def _below(root: Path) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        if set(files) >= SESSION_FILES:
            names.clear()
            continue
        names[:] = sorted((name for name in names if not name.startswith(".")), key=natural_key)
        visible = sorted((name for name in files if not name.startswith(".")), key=natural_key)
        suffixes = {Path(name).suffix.lower() for name in visible}
        if suffixes & STILL_SUFFIXES:
            yield folder
        for name in visible:
            if Path(name).suffix.lower() in CLIP_SUFFIXES:
                yield str(Path(folder) / name)
