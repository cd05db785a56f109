"""What a sandboxed reader and its parent say to each other; one msgpack message per packet."""

from __future__ import annotations

from typing import Literal

import msgspec

from engines.pixels import Matrix
from engines.spec import Fit
from stream.errors import SourceError, StreamError, UsageError
from stream.sources.base import Problem, SourceInfo

MAX_MESSAGE_BYTES = 1 << 17

Kind = Literal["video", "images", "dicom", "phantom"]


class Preparation(msgspec.Struct, array_like=True, frozen=True):
    """The model input to make beside each n-th picture, while its planes are still at hand."""

    input_wh: tuple[int, int]
    fit: Fit
    every: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a model input."""
        return self.input_wh[1], self.input_wh[0], 3


class Request(msgspec.Struct, array_like=True, tag="request", frozen=True):
    """Parent to child, first of all: what to open."""

    kind: Kind
    uri: bytes
    stream_index: int | None = None
    threads: int = 1
    preparation: Preparation | None = None
    start_ns: int | None = None


class RingGiven(msgspec.Struct, array_like=True, tag="ring", frozen=True):
    """Parent to child, with the descriptor of a new ring beside it; all its slots are free."""

    slot_bytes: int
    slots: int


class Opened(msgspec.Struct, array_like=True, tag="opened", frozen=True):
    """Child to parent: the input is usable; a ring is needed now."""

    info: SourceInfo
    problems: tuple[Problem, ...]


class RingWanted(msgspec.Struct, array_like=True, tag="want", frozen=True):
    """Child to parent: the pictures became too large for the slots."""

    slot_bytes: int


class Shown(msgspec.Struct, array_like=True, tag="shown", frozen=True):
    """Child to parent: a picture lies in a slot, with the model input behind it if prepared."""

    slot: int
    shapes: tuple[tuple[int, ...], ...]
    prepared: bool
    matrix: Matrix
    full_range: bool
    pts_ns: int | None
    damage: str | None


class Ended(msgspec.Struct, array_like=True, tag="ended", frozen=True):
    """Child to parent: there are no more pictures."""

    problems: tuple[Problem, ...]


class Refused(msgspec.Struct, array_like=True, tag="refused", frozen=True):
    """Child to parent: the input cannot be used."""

    kind: Literal["source", "usage"]
    subject: str
    problem: str
    remedy: str
    fault: str

    def error(self) -> StreamError:
        """Return the error that the child met."""
        kind = UsageError if self.kind == "usage" else SourceError
        return kind(self.subject, self.problem, self.remedy, fault=self.fault)


FromChild = Opened | RingWanted | Shown | Ended | Refused
FromParent = Request | RingGiven
