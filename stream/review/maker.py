"""Makes film and maps in the background while the reader looks at what is there already."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from engines.errors import SonostreamError
from stream.closing import Closing
from stream.live.recorder.again import ChangedSourceError
from stream.review.clip import ReviewClip
from stream.review.film import PIECE, Film
from stream.review.filming import film_pieces, next_piece
from stream.review.maps import Map, encode_map, find_maps, key_maps, make_maps
from stream.review.pictures import filmed_frames
from stream.sources.nursery import Nursery

_END_WAIT_S = 2.0


class Stage(msgspec.Struct, frozen=True):
    """How far something is; `done` of `total` frames, `reason` why it failed or will not be."""

    state: Literal["waiting", "making", "ready", "failed"]
    done: int = 0
    total: int = 0
    reason: str = ""


class Progress(msgspec.Struct, frozen=True):
    """What there is to see.

    Parameters
    ----------
    pieces : of the film that are there, as runs of first and last
    """

    film: Stage
    maps: Stage
    pieces: list[tuple[int, int]]


class _Stopped(Exception):  # noqa: N818 - it is no error
    """The review ends."""


class Maker(Closing):
    """Owns a thread that makes the film, then the maps; both are kept for the next time.

    Parameters
    ----------
    clip : what is reviewed
    filmed : frames that have a picture
    cache : folder of compiled engines, the user's own when None
    blind : the reader sees nothing of the model, so there are no maps
    """

    def __init__(
        self, clip: ReviewClip, filmed: list[int], cache: Path | None, *, blind: bool
    ) -> None:
        self._clip, self._filmed, self._cache, self._blind = clip, filmed, cache, blind
        self._places = {index: place for place, index in enumerate(filmed)}
        self._film: Film | None = None
        self._ready, self._missing = set[int](), dict.fromkeys(range(-(-len(filmed) // PIECE)))
        self._wanted: int | None = None
        self._film_stage = self._maps = Stage("waiting", 0, len(filmed))
        self._known: dict[int, Map] = {} if blind else key_maps(clip)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="review-maker", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        return Progress(self._film_stage, self._maps, _runs(sorted(self._ready)))

    def want(self, piece: int) -> None:
        """Make this piece of the film before others."""
        self._wanted = piece

    def piece(self, number: int) -> bytes | None:
        """Return a piece of the film, an MP4 file, or None where there is none yet."""
        film = self._film
        return film.read(number) if film and number in self._ready else None

    def shows(self, index: int) -> bool:
        """Say whether the film has the picture of a frame by now."""
        place = self._places.get(index)
        return place is not None and place // PIECE in self._ready

    def draw_map(self, index: int) -> bytes | None:
        """Return the map of a frame as `encode_map` draws it, or None where there is none yet."""
        found = self._known.get(index)
        if found is None:
            return None
        look = self._film.look() if self._film and self._ready else None
        return encode_map(found, self._clip.spec, look and (look.width, look.height))

    def close(self) -> None:
        """Stop making; may be called twice."""
        self._stop.set()
        self._thread.join(_END_WAIT_S)
        if self._film:
            self._film.close()

    def _run(self) -> None:
        try:
            if self._make_film() and not self._blind:
                self._make_maps()
        except _Stopped:
            return

    def _make_film(self) -> bool:
        total = len(self._filmed)
        try:
            self._film = Film(self._clip.review_folder, self._clip.journal)
            self._tell_film()
            self._find_pieces(self._film)
            if not total:
                filmed_frames(self._clip)  # tells why
            if self._missing:
                self._make_pieces(self._film)
        except ChangedSourceError as error:
            self._refuse_film(error.problem)
            return False
        except SonostreamError as error:
            self._film_stage = Stage("failed", self._film_stage.done, total, error.problem)
            return False
        self._film_stage = Stage("ready", total, total)
        return True

    def _make_pieces(self, film: Film) -> None:
        with Nursery() as nursery:
            film_pieces(self._clip, self._filmed, film, self._choose, self._note, nursery)

    def _refuse_film(self, problem: str) -> None:
        """Take back what shows another recording."""
        self._ready = set()
        if self._film:
            self._film.empty()
        self._film_stage = Stage("failed", 0, len(self._filmed), problem)

    def _find_pieces(self, film: Film) -> None:
        """Look for what was made before, first of all for what the reader looks at."""
        todo = self._missing.copy()
        while todo:
            self._check()
            wanted = self._wanted
            number = wanted if wanted in todo else next(iter(todo))
            del todo[number]
            if film.read(number) is not None:
                self._note(number)

    def _choose(self, number: int) -> int | None:
        self._check()
        return next_piece(number, self._wanted, self._missing)

    def _note(self, number: int) -> None:
        self._missing.pop(number, None)
        self._ready = self._ready | {number}
        self._tell_film()

    def _tell_film(self) -> None:
        total = len(self._filmed)
        self._film_stage = Stage("making", min(total, len(self._ready) * PIECE), total)

    def _make_maps(self) -> None:
        total = len(self._clip.places)
        self._maps = Stage("making", 0, total)

        def tick(done: int) -> None:
            self._check()
            self._maps = Stage("making", done, total)

        try:
            found = find_maps(self._clip)
            if found is None:
                make_maps(self._clip, self._cache, self._known, tick)
        except SonostreamError as error:
            self._maps = Stage("failed", 0, total, error.problem)
            return
        self._known = (found or {}) | self._known
        self._maps = Stage("ready", total, total)

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopped


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of neighbours."""
    if not numbers:
        return []
    breaks = [(a, b) for a, b in pairwise(numbers) if b > a + 1]
    firsts, lasts = [numbers[0], *(b for _, b in breaks)], [*(a for a, _ in breaks), numbers[-1]]
    return list(zip(firsts, lasts, strict=True))
