"""The contract of a live source: one picture after the other, until it is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engines.pixels import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Grabbed:
    """One picture as it came.

    Parameters
    ----------
    pixels : read-only for everybody; valid as long as somebody keeps them
    captured_ns : `stream.clock.now_ns` when the picture was there
    pts_ns : time of the source, or None; may go back, repeat or leap
    damage : why the picture cannot be trusted, or None
    """

    pixels: Pixels
    captured_ns: int
    pts_ns: int | None
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class LiveInfo:
    """What an open source says about itself.

    Parameters
    ----------
    kind : "paced", "device", "network" or "igtl"
    name : for people and the journal, without credentials
    detail : codec, pixel format and the like, for people
    rate_hz : declared rate, never trusted, or None
    repeatable : opened again it gives the same pictures, so a session over it can be replayed
    """

    kind: str
    name: str
    detail: str
    rate_hz: float | None
    repeatable: bool


class Grabber(Protocol):
    """An open live source; used by one thread, closed by any."""

    @property
    def info(self) -> LiveInfo:
        """Facts known once it is open."""
        ...

    def grab(self) -> Grabbed | None:
        """Wait for the next picture; None at the end of a recording that is played once.

        A buffer that the source gives a second time, by its own time stamp, is no picture: the
        call goes on waiting (F12).

        Raises
        ------
        SourceError
            If the source is lost; it must be opened again. The text names the cause.
        """
        ...

    def close(self) -> None:
        """Release the source; may be called twice."""
        ...
