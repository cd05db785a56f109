"""Makes pieces of film: reads the pictures in order and encodes what is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from functools import partial
from io import BytesIO
from itertools import chain, islice, pairwise

from engines.pixels import Pixels
from stream.errors import StorageError
from stream.review.clip import ReviewClip
from stream.review.film import PIECE, Film, Look
from stream.review.pictures import read_pictures
from stream.sources.nursery import Nursery
from stream.sources.proxy import FilmWriter, film_size

LAST_MS = 40
"""How long the last frame of a film stands."""
NEAR = 8
"""Pieces that are decoded sooner than a source is begun anew: 256 frames, about 0.8 s."""
Choose = Callable[[int], int | None]
"""Told which piece the source has come to, says which to make next, if any; may raise to stop."""


def next_piece(number: int, wanted: int | None, missing: Collection[int]) -> int | None:
    """Say which piece to make when the source has come to piece `number`.

    What the reader looks at comes first, then what the source comes to.
    """
    if wanted is not None and wanted in missing:
        return wanted
    if number in missing:
        return number
    ahead = (piece for piece in missing if piece > number)
    return min(ahead, default=min(missing, default=None))


def film_pieces(
    clip: ReviewClip,
    filmed: list[int],
    film: Film,
    choose: Choose,
    made: Callable[[int], None],
    nursery: Nursery | None = None,
) -> None:
    """Make the pieces that are chosen and keep them.

    The source is read on to a piece that is near, and begun anew, there if it can be, for others.

    Parameters
    ----------
    filmed : frames that have a picture
    choose : asked at each picture; a piece is given up when another is chosen meanwhile
    made : told the number of each piece that is there
    nursery : makes it cheap to begin the source anew

    Raises
    ------
    SourceError
        If the pictures cannot be had; see `read_pictures`.
    StorageError
        If the film cannot be written.
    """
    spans, leaps = _spans(clip, filmed), True
    wanted = choose(0)
    while wanted is not None:
        start = filmed[wanted * PIECE]
        with closing(read_pictures(clip, start, nursery)) as pictures:
            first = next(pictures, None)
            if first is None:
                raise StorageError(str(clip.folder), "no picture of it can be had")
            number = wanted if first[0] == start else 0
            leaps &= number == wanted
            look, rest = film.look() or _look_of(first[1]), chain([first], pictures)
            while wanted is not None and _is_near(wanted - number, leaps):
                batch = islice((pixels for _, pixels in rest), PIECE)
                if number == wanted:
                    going = partial(_stays, choose, number)
                    if _make(film, number, batch, spans[number], look, going):
                        made(number)
                deque(batch, maxlen=0)
                number += 1
                wanted = choose(number)


def _stays(choose: Choose, number: int) -> bool:
    return choose(number) == number


def _is_near(ahead: int, leaps: bool) -> bool:
    """Say whether to read on to a piece so far ahead; `leaps` if the source can be begun there."""
    return 0 <= ahead <= NEAR or (ahead > 0 and not leaps)


def _spans(clip: ReviewClip, filmed: list[int]) -> list[list[tuple[int, int]]]:
    """Return from when until when each frame of each piece stands, in ms."""
    all_ms = clip.film_ms()
    times = [all_ms[index] for index in filmed]
    spans = [*pairwise(times), *((last, last + LAST_MS) for last in times[-1:])]
    return [spans[at : at + PIECE] for at in range(0, len(spans), PIECE)]


def _make(
    film: Film,
    number: int,
    batch: Iterator[Pixels],
    spans: list[tuple[int, int]],
    look: Look,
    going: Callable[[], bool],
) -> bool:
    """Keep a piece and return whether it is there now; it is given up when no longer `going`.

    Pictures are taken one by one, as the source gives only a few at once.
    """
    if film.read(number) is not None:  # another process was first
        return True
    data, (start_ms, _) = BytesIO(), spans[0]
    with FilmWriter(data, (look.width, look.height), look.matrix, look.full_range) as writer:
        for time_ms, end_ms in spans:
            pixels = next(batch, None)
            if pixels is None:
                raise StorageError("film", f"the pictures end within piece {number}")
            if not going():
                return False
            writer.write(pixels, time_ms - start_ms, end_ms - time_ms)
    film.keep(number, data.getvalue(), look)
    return True


def _look_of(pixels: Pixels) -> Look:
    width, height = film_size(pixels.shape_hw)
    return Look(width, height, pixels.matrix, pixels.full_range)
