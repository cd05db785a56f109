"""The film of a session, made once and kept beside it with what it was made from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from stream.errors import StorageError
from stream.report.files import cannot_write, write_whole
from stream.review.clip import ReviewClip
from stream.review.pictures import read_pictures
from stream.sources.proxy import FilmWriter, film_size

FILM, FACTS = ".film.mp4", ".film.json"
"""Hidden names, so that nobody who looks for clips takes the film for one."""
VERSION = 1
Tick = Callable[[int], None]
"""Called with the number of frames done; may raise to stop."""


class Film(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A finished film.

    Parameters
    ----------
    version : of how films are made
    journal : sha256 of the journal whose frames it shows
    frames : how many it has
    size_wh : in pixels
    sha256 : of the file
    """

    version: int
    journal: str
    frames: int
    size_wh: tuple[int, int]
    sha256: str


def find_film(clip: ReviewClip) -> Film | None:
    """Return the film of a clip if one was made and is whole."""
    try:
        film = msgspec.json.decode((clip.review_folder / FACTS).read_bytes(), type=Film)
        with (clip.review_folder / FILM).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, msgspec.MsgspecError):
        return None
    known = film.version == VERSION and film.journal == clip.journal and film.sha256 == digest
    return film if known else None


def make_film(clip: ReviewClip, tick: Tick) -> Film:
    """Write the film of a clip, one film frame for each picture, and say what it is.

    Raises
    ------
    SourceError
        If the pictures cannot be had; see `read_pictures`.
    StorageError
        If the film cannot be written.
    """
    part = clip.review_folder / f"{FILM}.{os.getpid()}.part"
    try:
        count, size_wh = _write(clip, part, tick)
        with part.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        part.replace(clip.review_folder / FILM)
    except OSError as error:
        raise cannot_write(part, error) from error
    finally:
        part.unlink(missing_ok=True)
    film = Film(version=VERSION, journal=clip.journal, frames=count, size_wh=size_wh, sha256=digest)
    write_whole(clip.review_folder / FACTS, msgspec.json.encode(film))
    return film


def _write(clip: ReviewClip, part: Path, tick: Tick) -> tuple[int, tuple[int, int]]:
    times = clip.film_ms()
    pictures = read_pictures(clip)
    first = next(pictures, None)
    if first is None:
        raise StorageError(str(clip.folder), "no picture of it can be had")
    size_wh = film_size(first[1].shape_hw)
    colours = first[1].matrix, first[1].full_range
    with FilmWriter(part, size_wh, *colours) as writer:
        writer.write(first[1], times[first[0]])
        count = 1
        for index, pixels in pictures:
            writer.write(pixels, times[index])
            count += 1
            tick(count)
    return count, size_wh
