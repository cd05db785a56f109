"""What of a picture may leave capture: the sector, found at the start and looked for again."""

from __future__ import annotations

from collections import deque
from typing import Literal

from engines.pixels import Box, Pixels
from stream.clock import MS
from stream.sector.find import find_sector
from stream.sector.masker import Masker
from stream.sector.outline import Corner, Sector
from stream.sources.live.base import Grabbed
from stream.sources.ring import own_pixels

FIRST_LOOK, NEXT_LOOK = 8, 3
"""Pictures from which the sector is found at the start, and after a change of format."""
LOOK_AGAIN_NS, LOOK_NS = 4000 * MS, 500 * MS
"""So often it is looked for again, over pictures of so long a time."""
LOOK_SOON_NS = 1000 * MS
"""The same while none is known: what leaves until then is not masked."""

Looked = Literal["waiting", "found", "same", "grown"]


class Masking:
    """Finds the sector and cuts pictures to it.

    A probe in the air shows little of its sector, so it is looked for again now and then, and
    only grows.

    Parameters
    ----------
    on : when off, pictures leave as they are
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._pictures: deque[Pixels] = deque(maxlen=FIRST_LOOK)
        self._wanted = 0
        self._looked_ns = 0
        self._sector: Sector | None = None
        self._masker: Masker | None = None

    @property
    def outline(self) -> tuple[Corner, ...]:
        """Corners of the sector, empty when nothing is masked."""
        return self._sector.outline if self._sector else ()

    @property
    def box_xyxy(self) -> Box | None:
        """Part of the source's pictures in which the sector lies."""
        return self._sector.box_xyxy if self._sector else None

    def begin(self, *, first: bool) -> None:
        """Pictures of another kind come from now on: nothing is known of their sector."""
        self._wanted = FIRST_LOOK if first else NEXT_LOOK
        self._pictures.clear()
        self._sector = self._masker = None

    def look(self, grabbed: Grabbed) -> Looked:
        """Look at a picture; one for which the answer is "waiting" must not leave."""
        if not self._on:
            return "found" if self._done() else "same"
        age_ns = grabbed.captured_ns - self._looked_ns
        again_ns = LOOK_AGAIN_NS if self._sector else LOOK_SOON_NS
        if self._wanted or age_ns > again_ns - LOOK_NS:
            self._pictures.append(own_pixels(grabbed.pixels))
        if self._wanted > 1:
            self._wanted -= 1
            return "waiting"
        found = self._done()
        if not found and age_ns <= again_ns:
            return "same"
        grown = self._find(grabbed.captured_ns)
        return "found" if found else "grown" if grown else "same"

    def apply(self, pixels: Pixels) -> Pixels:
        """Return what may leave of a picture."""
        return self._masker.apply(pixels) if self._masker else pixels

    def box_of(self, pixels: Pixels) -> Box:
        """Return which part of a picture leaves."""
        height, width = pixels.shape_hw
        return self._masker.box_xyxy(pixels) if self._masker else (0, 0, width, height)

    def _done(self) -> bool:
        """Tell whether this is the picture that ends the waiting."""
        done, self._wanted = self._wanted > 0, 0
        return done

    def _find(self, now_ns: int) -> bool:
        self._looked_ns = now_ns
        found = find_sector(list(self._pictures), self._sector)
        self._pictures.clear()
        if found is self._sector:
            return False
        self._sector = found
        self._masker = Masker(found) if found else None
        return True
