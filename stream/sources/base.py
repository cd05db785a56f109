"""The source contract: what is opened, what it yields, what it says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from engines.pixels import Pixels
from stream.frame import Frame


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says about itself before its first frame.

    Parameters
    ----------
    kind : "video", "images", "dicom" or "phantom"
    name : for people; the file name without its folder
    size_wh : size of the first picture in pixels, rotation and pixel aspect applied
    rate_hz : declared mean frame rate, or None
    frame_count : declared number of frames, or None; never trusted
    detail : codec, container, transfer syntax and the like, for people
    sha256 : digest of the input bytes, empty for the phantom
    pixel_spacing_mm : millimetres from one row to the next, and from one column to the next, of
        the picture as yielded; None where the input does not say
    """

    kind: str
    name: str
    size_wh: tuple[int, int]
    rate_hz: float | None
    frame_count: int | None
    detail: str
    sha256: str
    pixel_spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with an input that was still partly usable.

    Parameters
    ----------
    fault : id in the fault specification, such as "V06"
    text : one line for people
    partial : True when frames are missing or damaged (exit code 4), False for a mere warning
    """

    fault: str
    text: str
    partial: bool


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a reader yields: a picture with its place in the clip.

    Parameters
    ----------
    pixels : the picture as decoded, rotation and pixel aspect applied
    pts_ns : place in the clip, or None
    damage : why the picture cannot be trusted, or None
    """

    pixels: Pixels
    pts_ns: int | None
    damage: str | None = None


class Reader(Protocol):
    """Decodes one input in the calling process; run it inside the sandbox for untrusted files.

    A reader is built by ``open_<kind>(uri)``, which raises `SourceError` for an unusable input.
    """

    @property
    def info(self) -> SourceInfo:
        """Facts known before the first picture."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems met so far; complete once `pictures` is exhausted."""
        ...

    def pictures(self) -> Iterator[Picture]:
        """Yield every picture in order of presentation, once.

        Raises
        ------
        SourceError
            If not one picture can be had.
        """
        ...

    def close(self) -> None:
        """Release files and decoders; may be called twice."""
        ...


class Source(Protocol):
    """A context manager that iterates once over the frames of one input."""

    @property
    def info(self) -> SourceInfo:
        """Facts known before the first frame."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems met so far; complete after the last frame."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...
