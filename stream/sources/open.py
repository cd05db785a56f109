"""The one way to open an input: a path or a phantom's description becomes a source."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stream.closing import Closing
from stream.errors import SourceError
from stream.sources.base import Problem, Source, SourceInfo
from stream.sources.discover import STILL_SUFFIXES
from stream.sources.nursery import Nursery
from stream.sources.regular import open_regular
from stream.sources.sandbox import Limits, SandboxedSource
from stream.sources.sandbox_wire import Kind, Preparation, Request

_DICOM_SUFFIXES = frozenset([".dcm", ".dicom"])


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What can be chosen about an input.

    Parameters
    ----------
    stream_index : stream of a file with several videos, counted over all its streams
    limits : what the reader may use
    preparation : model input to make beside each picture, or None
    start_ns : `pts_ns` of the frame to begin with, which a video may heed; any input may begin with
        its first frame instead. `seq` and `epoch` count from the first frame that comes
    """

    stream_index: int | None = None
    limits: Limits = field(default_factory=Limits)
    preparation: Preparation | None = None
    start_ns: int | None = None


def open_source(
    uri: str,
    *,
    session: str,
    options: SourceOptions | None = None,
    nursery: Nursery | None = None,
) -> Source:
    """Open an input in a child process of its own.

    Parameters
    ----------
    uri : path of a video, DICOM file, still image or folder of images, or ``phantom:...``
    session : first part of every frame's identity
    options : choices; the defaults when None
    nursery : makes the child cheap, for whoever opens many inputs

    Raises
    ------
    SourceError
        If the input cannot be used.
    UsageError
        If the input leaves a choice open.
    """
    return _begin(uri, session, options or SourceOptions(), nursery).open()


class Ahead(Closing):
    """Opens inputs one after another, and begins with the next while one is read.

    Parameters
    ----------
    session, options, nursery : as for `open_source`
    """

    def __init__(
        self, session: str, options: SourceOptions | None = None, nursery: Nursery | None = None
    ) -> None:
        self._how = (session, options or SourceOptions(), nursery)
        self._begun: dict[str, SandboxedSource] = {}

    def close(self) -> None:
        """End what was begun and never opened."""
        for source in self._begun.values():
            source.close()
        self._begun.clear()

    def each(self, uris: Iterable[str]) -> Iterator[str]:
        """Yield inputs in order, each when the one after it was begun."""
        waiting = list(uris)
        for number, uri in enumerate(waiting, 1):
            for following in waiting[number : number + 1]:
                self._expect(following)
            yield uri

    def open(self, uri: str) -> Source:
        """Open an input; errors are those of `open_source`."""
        begun = self._begun.pop(uri, None)
        if begun is not None and not begun.ended():
            try:
                return begun.open()
            except SourceError as error:
                if error.fault != "F10":
                    raise
        if begun is not None:  # lost while it waited, which says nothing of the input
            begun.close()
        return _begin(uri, *self._how).open()

    def _expect(self, uri: str) -> None:
        if uri in self._begun:
            return
        with contextlib.suppress(SourceError):  # told when it is opened
            self._begun[uri] = _begin(uri, *self._how)


def _begin(
    uri: str, session: str, options: SourceOptions, nursery: Nursery | None
) -> SandboxedSource:
    kind = _choose_kind(uri)
    place = uri if kind == "phantom" else Path.cwd() / uri
    threads = options.limits.threads
    request = Request(
        kind,
        os.fsencode(place),
        options.stream_index,
        threads,
        options.preparation,
        options.start_ns,
    )
    return SandboxedSource(request, session, options.limits, nursery)


def source_info(uri: str) -> tuple[SourceInfo, tuple[Problem, ...]]:
    """Return what an input says about itself, and its problems so far, reading no further."""
    with open_source(uri, session="info") as source:
        return source.info, source.problems


def _choose_kind(uri: str) -> Kind:
    if uri.startswith("phantom:"):
        return "phantom"
    if _is_folder(uri):
        return "images"
    with open_regular(uri) as file:
        file.seek(128)
        marked = file.read(4) == b"DICM"
    suffix = Path(uri).suffix.lower()
    if marked or suffix in _DICOM_SUFFIXES:
        return "dicom"
    return "images" if suffix in STILL_SUFFIXES else "video"


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # a name too long or with a zero byte: told when it is opened
        return False
