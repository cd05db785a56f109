"""Makes pieces of film: reads the pictures in order and encodes what is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from io import BytesIO
from itertools import chain, islice, pairwise
from typing import Literal

from engines.pixels import Pixels
from stream.errors import StorageError
from stream.review.clip import ReviewClip
from stream.review.film import PIECE, Film, Look
from stream.review.pictures import read_pictures
from stream.sources.proxy import FilmWriter, film_size

LAST_MS = 40
"""How long the last frame of a film stands."""
Choose = Callable[[int], Literal["make", "skip", "end"]]
"""Told the number of a piece that the source has come to; may raise to stop."""


def next_step(
    number: int, wanted: int | None, missing: Collection[int]
) -> Literal["make", "skip", "end"]:
    """Say what to do with the piece that the source has come to.

    What the reader looks at comes first. The source goes only forward: "end" when nothing further
    on is wanted, to begin again from the start.
    """
    if wanted is not None and wanted != number and wanted in missing:
        return "skip" if wanted > number else "end"
    if number in missing:
        return "make"
    return "skip" if max(missing, default=-1) > number else "end"


def film_pieces(
    clip: ReviewClip, filmed: list[int], film: Film, choose: Choose, made: Callable[[int], None]
) -> None:
    """Go through the pictures once and keep the pieces that are chosen.

    Parameters
    ----------
    filmed : frames that have a picture
    made : told the number of each piece that is there

    Raises
    ------
    SourceError
        If the pictures cannot be had; see `read_pictures`.
    StorageError
        If the film cannot be written.
    """
    all_ms = clip.film_ms()
    times = [all_ms[index] for index in filmed]
    spans = [*pairwise(times), *((last, last + LAST_MS) for last in times[-1:])]
    with closing(read_pictures(clip)) as pictures:
        first = next(pictures, None)
        if first is None:
            raise StorageError(str(clip.folder), "no picture of it can be had")
        look, rest = film.look() or _look_of(first[1]), chain([first], pictures)
        for start in range(0, len(filmed), PIECE):
            number, batch = start // PIECE, islice((pixels for _, pixels in rest), PIECE)
            step = choose(number)
            if step == "end":
                return
            if step == "make" and film.read(number) is None:  # another process may have been first
                film.keep(number, _encode(batch, spans[start : start + PIECE], look), look)
            if step == "make":
                made(number)
            deque(batch, maxlen=0)


def _encode(batch: Iterator[Pixels], spans: list[tuple[int, int]], look: Look) -> bytes:
    """Return a piece; pictures are taken one by one, as the source gives only a few at once."""
    data, (start_ms, _) = BytesIO(), spans[0]
    with FilmWriter(data, (look.width, look.height), look.matrix, look.full_range) as writer:
        for pixels, (time_ms, end_ms) in zip(batch, spans, strict=True):
            writer.write(pixels, time_ms - start_ms, end_ms - time_ms)
    return data.getvalue()


def _look_of(pixels: Pixels) -> Look:
    width, height = film_size(pixels.shape_hw)
    return Look(width, height, pixels.matrix, pixels.full_range)
