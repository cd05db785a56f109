"""One-part messages of the live system as bytes; `docs/wire-format.md` describes each step.

Nothing is allocated, copied or run for bytes that fail a check.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import WireError
from stream.live.wire.checks import check_header, check_values, payload_bytes
from stream.live.wire.messages import (
    Beat,
    EpochNote,
    FrameHeader,
    ModelNote,
    Note,
    Order,
    Pin,
    Ranking,
    ResultHeader,
    Status,
)

Message = (
    FrameHeader
    | ResultHeader
    | ModelNote
    | Beat
    | Status
    | Order
    | Note
    | EpochNote
    | Ranking
    | Pin
)
Buffer = bytes | memoryview | NDArray[Any]

MAGIC = b"SONO"
VERSION = 1
PREAMBLE = struct.Struct("<4sBBHIQ")
SMALL_HEADER, LARGE_HEADER = 4096, 65536
MAX_PAYLOAD = 4096 * 4096 * 3
"""Bytes of the largest picture; arrays and film strips are smaller."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """How one kind of message is coded: its number, its struct, the limit of its header."""

    code: int
    struct: type[Message]
    header_bytes: int
    decoder: msgspec.msgpack.Decoder[Any]


def _kind(code: int, struct: type[Message], header_bytes: int = SMALL_HEADER) -> Kind:
    return Kind(code, struct, header_bytes, msgspec.msgpack.Decoder(struct))


KINDS = (
    _kind(1, FrameHeader),
    _kind(2, ResultHeader),
    _kind(3, ModelNote, LARGE_HEADER),
    _kind(4, Beat),
    _kind(5, Status, LARGE_HEADER),
    _kind(6, Order),
    _kind(7, Note),
    _kind(8, EpochNote),
    _kind(9, Ranking, LARGE_HEADER),
    _kind(10, Pin),
)
_BY_CODE = {kind.code: kind for kind in KINDS}
_BY_STRUCT = {kind.struct: kind for kind in KINDS}
_ENCODER = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a receiver takes.

    Parameters
    ----------
    structs : kinds of message
    payload_bytes : most bytes after a header
    """

    structs: frozenset[type[Message]]
    payload_bytes: int = 0

    @property
    def message_bytes(self) -> int:
        """Size of the largest message."""
        header = max(_BY_STRUCT[struct].header_bytes for struct in self.structs)
        return PREAMBLE.size + header + self.payload_bytes


SHARED_FRAMES = Limits(frozenset({FrameHeader}))
"""Frames whose pixels lie in shared memory."""
FRAMES = Limits(frozenset({FrameHeader}), MAX_PAYLOAD)
RESULTS = Limits(frozenset({ResultHeader, ModelNote}), MAX_PAYLOAD + (1 << 20))
RECORDS = Limits(RESULTS.structs | {Note}, RESULTS.payload_bytes)
"""Worker to the recorder."""
REPORTS = Limits(frozenset({Beat, Order, Note, EpochNote, Ranking, Pin}), MAX_PAYLOAD)
"""Roles to the supervisor."""
STATUS = Limits(frozenset({Status, Order, Note, EpochNote, Ranking, Pin}), MAX_PAYLOAD)
"""Supervisor to the roles."""


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A message that passed every check, and its payload, read-only, not copied."""

    message: Message
    payload: memoryview


def encode(message: Message, payload: Sequence[Buffer] = ()) -> bytes | memoryview:
    """Return a message as one part; the payload is copied once.

    Parameters
    ----------
    message : header
    payload : what follows it, in order; arrays need not be contiguous and keep their type, which
        is uint8 or float32

    Raises
    ------
    ValueError
        If the payload is not as long as the header says, or the header is above its limit.
    """
    kind = _BY_STRUCT[type(message)]
    header = _ENCODER.encode(message)
    parts = [_numbers(part) for part in payload]
    size = sum(part.nbytes for part in parts)
    if size != payload_bytes(message):
        raise ValueError(f"payload of {size} bytes: the header says {payload_bytes(message)}")
    if len(header) > kind.header_bytes:
        raise ValueError(f"header of {len(header)} bytes: expected at most {kind.header_bytes}")
    head = PREAMBLE.pack(MAGIC, VERSION, kind.code, 0, len(header), size) + header
    return _joined(head, parts, size) if size else head


def decode(data: bytes | memoryview, limits: Limits) -> Received:
    """Check one part from whoever sent it and return its message.

    Parameters
    ----------
    data : the part; it is kept alive by the payload
    limits : what may come here

    Raises
    ------
    WireError
        With the `reason` that the refusal is counted under.
    """
    view = memoryview(data)
    kind, header_end = _read_preamble(view, limits)
    message = _read_header(kind, view[PREAMBLE.size : header_end])
    check_header(message)
    payload = view[header_end:].toreadonly()
    if len(payload) != payload_bytes(message):
        raise WireError(
            "payload", f"{len(payload)} bytes: its header says {payload_bytes(message)}"
        )
    check_values(message, payload)
    return Received(message, payload)


def _read_preamble(view: memoryview, limits: Limits) -> tuple[Kind, int]:
    """Return the kind of a message and where its header ends."""
    size = len(view)
    if not PREAMBLE.size <= size <= limits.message_bytes:
        raise WireError("size", f"{size} bytes: expected {PREAMBLE.size} to {limits.message_bytes}")
    magic, version, code, zero, header_bytes, size_after = PREAMBLE.unpack_from(view)
    if magic != MAGIC:
        raise WireError("magic", f"begins with {magic!r}: expected {MAGIC!r}")
    if version != VERSION:
        raise WireError("version", f"wire version {version}: this program speaks {VERSION}")
    kind = _BY_CODE.get(code)
    if kind is None or kind.struct not in limits.structs:
        raise WireError("kind", f"message of kind {code} does not belong here")
    if zero != 0 or header_bytes > kind.header_bytes:
        raise WireError("header", f"{header_bytes} bytes: expected at most {kind.header_bytes}")
    if size_after > limits.payload_bytes or PREAMBLE.size + header_bytes + size_after != size:
        raise WireError("size", f"{size} bytes: the preamble says {header_bytes} + {size_after}")
    return kind, PREAMBLE.size + header_bytes


def _read_header(kind: Kind, header: memoryview) -> Message:
    try:
        message: Message = kind.decoder.decode(header)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise WireError("header", f"{kind.struct.__name__}: {error}") from error
    return message


def _joined(head: bytes, parts: Iterable[NDArray[Any]], size: int) -> memoryview:
    whole = np.empty(len(head) + size, np.uint8)
    whole[: len(head)] = np.frombuffer(head, np.uint8)
    place = len(head)
    for part in parts:
        end = place + part.nbytes
        np.copyto(_little(whole[place:end], part).reshape(part.shape), part)
        place = end
    return whole.data


def _numbers(part: Buffer) -> NDArray[Any]:
    return part if isinstance(part, np.ndarray) else np.frombuffer(part, np.uint8)


def _little(target: NDArray[np.uint8], array: NDArray[Any]) -> NDArray[Any]:
    """Return the bytes as numbers of the array's type, the least significant byte first."""
    return target.view(array.dtype.newbyteorder("<"))
