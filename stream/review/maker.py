"""Makes film and maps in the background while the reader looks at the key frames."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import msgspec

from engines.errors import SonostreamError
from stream.closing import Closing
from stream.review.clip import ReviewClip
from stream.review.film import FILM, Film, find_film, make_film
from stream.review.maps import Map, encode_map, find_maps, key_maps, make_maps

_END_WAIT_S = 2.0


class Stage(msgspec.Struct, frozen=True):
    """How far something is; `done` of `total` frames, `reason` why it failed or will not be."""

    state: Literal["waiting", "making", "ready", "failed"]
    done: int = 0
    total: int = 0
    reason: str = ""


class Progress(msgspec.Struct, frozen=True):
    """What there is to see."""

    film: Stage
    maps: Stage
    size_wh: tuple[int, int] | None


class _Stopped(Exception):  # noqa: N818 - it is no error
    """The review ends."""


class Maker(Closing):
    """Owns a thread that makes the film, then the maps; both are kept for the next time.

    Parameters
    ----------
    clip : what is reviewed
    cache : folder of compiled engines, the user's own when None
    blind : the reader sees nothing of the model, so there are no maps
    """

    def __init__(self, clip: ReviewClip, cache: Path | None, *, blind: bool) -> None:
        self._clip, self._cache, self._blind = clip, cache, blind
        self._film = self._maps = Stage("waiting")
        self._made: Film | None = None
        self._known: dict[int, Map] = {} if blind else key_maps(clip)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="review-maker", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        made = self._made
        return Progress(self._film, self._maps, made.size_wh if made else None)

    @property
    def film_path(self) -> Path | None:
        """The film once it is whole."""
        return self._clip.review_folder / FILM if self._made else None

    def draw_map(self, index: int) -> bytes | None:
        """Return the map of a frame as `encode_map` draws it, or None where there is none yet."""
        found, made = self._known.get(index), self._made
        if found is None:
            return None
        return encode_map(found, self._clip.spec, made.size_wh if made else None)

    def close(self) -> None:
        """Stop making; may be called twice."""
        self._stop.set()
        self._thread.join(_END_WAIT_S)

    def _run(self) -> None:
        try:
            if self._make_film() and not self._blind:
                self._make_maps()
        except _Stopped:
            return

    def _make_film(self) -> bool:
        total = len(self._clip.places)
        self._film = Stage("making", 0, total)

        def tick(done: int) -> None:
            self._check()
            self._film = Stage("making", done, total)

        try:
            self._made = find_film(self._clip) or make_film(self._clip, tick)
        except SonostreamError as error:
            self._film = Stage("failed", 0, total, error.problem)
            return False
        self._film = Stage("ready", total, total)
        return True

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
