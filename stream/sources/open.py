"""The one way to open an input: a path or a phantom's description becomes a source."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from stream.sources.base import Problem, Source, SourceInfo
from stream.sources.discover import STILL_SUFFIXES
from stream.sources.nursery import Nursery
from stream.sources.regular import open_regular
from stream.sources.sandbox import Limits, SandboxedSource
from stream.sources.sandbox_wire import Kind, Request

_DICOM_SUFFIXES = frozenset([".dcm", ".dicom"])


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What can be chosen about an input.

    Parameters
    ----------
    stream_index : stream of a file with several videos, counted over all its streams
    limits : what the reader may use
    """

    stream_index: int | None = None
    limits: Limits = field(default_factory=Limits)


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
    options = options or SourceOptions()
    kind = _choose_kind(uri)
    place = uri if kind == "phantom" else Path.cwd() / uri
    request = Request(kind, os.fsencode(place), options.stream_index, options.limits.threads)
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
