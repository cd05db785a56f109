"""Beginning within a clip: what is decoded from there is what decoding from the start gives.

The packets before are read and not decoded, so the container needs no index and tells no time that
it would not tell from the start. Decoding begins at an entry, a picture which by the standard needs
nothing before it: of H.264 an IDR picture or a recovery point with exact match and no frames to
wait for, of HEVC an IRAP picture. Pictures shown before their entry may lack what they refer to and
are left out. As FFmpeg complains when the first pictures from a recovery point on let go of earlier
ones, decoding begins at the entry before it. Whatever is not shown to be so is refused.

References
----------
Rec. ITU-T H.264 (2021): 7.4.1.2 (kinds of units), D.2.8 (recovery point), annex B.
Rec. ITU-T H.265 (2021): 7.4.2.2 and table 7-1, annex B.
ISO/IEC 14496-15 (2022): 5.3.3.1 and 8.3.3.1 (length of a unit).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

import av
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.sources.video_audit import DamageTrail
from stream.sources.video_stream import place_ns

if TYPE_CHECKING:
    VideoPacket = av.Packet[VideoStream]

_MAX_KEPT_BYTES = 256 << 20
_USER_DATA, _RECOVERY_POINT, _FILM_GRAIN, _ORIENTATION = 5, 6, 19, 47  # kinds of SEI messages
_ENCODER, _EXACT_BUILD = re.compile(rb"x264 - core (\d{1,9})"), 151
"""FFmpeg decodes what older builds of x264 made as they meant it, once it has read which it is."""
_MAX_SETS = 64
_AT_ONCE_EXACT = 0b11  # recovery_frame_cnt 0, exact_match_flag 1
_START_CODE = b"\0\0\1"


class StartError(SourceError):
    """That a clip can be begun at a place within it could not be shown."""


class Begun(NamedTuple):
    """How a clip is begun: packets to decode first, place of the entry, place of the picture."""

    packets: list[VideoPacket]
    entry_ns: int
    start_ns: int


class _Syntax(NamedTuple):
    """Kinds of units: parameter sets, entries, messages; and bytes of a unit's header."""

    sets: frozenset[int]
    entries: frozenset[int]
    messages: frozenset[int]
    header_bytes: int

    def kind(self, unit: memoryview) -> int:
        """Return the kind of a unit."""
        return unit[0] & 31 if self.header_bytes == 1 else unit[0] >> 1 & 63


_SYNTAXES = {
    "h264": _Syntax(frozenset({7, 8}), frozenset({5}), frozenset({6}), 1),
    "hevc": _Syntax(frozenset({32, 33, 34}), frozenset(range(16, 22)), frozenset({39, 40}), 2),
}


def find_entry(packets: Iterable[VideoPacket], stream: VideoStream, start_ns: int) -> Begun:
    """Read packets until all that a picture needs is there; return those to decode.

    Parameters
    ----------
    packets : of the stream, from its first on
    start_ns : place of the picture

    Raises
    ------
    StartError
        If no entry is known, or something before it may act on what follows.
    """
    entries, last, entry_ns, size = _Entries(stream), 0, 0, 0
    kept: list[VideoPacket] = []
    for packet in packets:
        shown_ns, entry = place_ns(packet.pts, packet.time_base), entries.judge(packet)
        if shown_ns is None:
            raise _refusal("a packet has no time")
        if entry and shown_ns <= start_ns:
            kept = kept[last:] if entry == "recovery" else []
            last, entry_ns, size = len(kept), shown_ns, sum(one.size for one in kept)
            kept.append(packet)
        elif kept:
            kept.append(packet)
        size += packet.size
        decoded_ns = place_ns(packet.dts, packet.time_base)
        if decoded_ns is not None and decoded_ns > start_ns:
            break
        if size > _MAX_KEPT_BYTES:
            raise _refusal(f"no entry in {size} bytes")
    if not kept:
        raise _refusal("there is no entry before it")
    return Begun(kept, entry_ns, start_ns)


def after_start(
    frames: Iterable[av.VideoFrame], begun: Begun, trail: DamageTrail, base: Fraction | None
) -> Iterator[av.VideoFrame]:
    """Leave out the frames before the one at `begun.start_ns`.

    Parameters
    ----------
    trail : judges the frames that are needed for it
    base : of the stream's times, for frames that have none of their own

    Raises
    ------
    StartError
        If that frame does not come, or a frame is damaged that is needed for it, or interlaced,
        for then it is mixed with its neighbours.
    """
    reached = False
    for frame in frames:
        shown_ns = place_ns(frame.pts, frame.time_base or base)
        if shown_ns is None or frame.interlaced_frame:
            raise _refusal("a frame is interlaced or has no time")
        if shown_ns < begun.entry_ns:
            continue
        if not reached and shown_ns < begun.start_ns:
            if trail.judge(frame, shown_ns):
                raise _refusal("a frame before it is damaged")
            continue
        if not reached and shown_ns != begun.start_ns:
            raise _refusal(f"the frame at {shown_ns} ns comes first")
        reached = True
        yield frame


class _Entries:
    """Looks for entries among the packets of a stream, given one after another."""

    def __init__(self, stream: VideoStream) -> None:
        codec = stream.codec_context
        syntax = _SYNTAXES.get(codec.name)
        if syntax is None:
            raise _refusal(f"entries of {codec.name} are not known")
        self._syntax, self._length_bytes = syntax, _length_bytes(codec)
        self._sets = set[bytes]()

    def judge(self, packet: VideoPacket) -> Literal["clean", "recovery", ""]:
        """Say what kind of entry a packet is, if it is one.

        Parameter sets may come with the pictures. Then those before are not known to the decoder,
        and an entry must bring them all.
        """
        if packet.is_corrupt or packet.has_sidedata("new_extradata"):
            raise _refusal("a packet before it is damaged or changes the decoder")
        syntax, sets, clean, recovers = self._syntax, set[bytes](), False, False
        for unit in _units(memoryview(packet), self._length_bytes):
            kind = syntax.kind(unit)
            if kind in syntax.sets:
                sets.add(bytes(unit))
            elif kind in syntax.messages:
                recovers |= self._recovers(bytes(unit[syntax.header_bytes :]))
            clean |= kind in syntax.entries
        self._sets |= sets
        if len(self._sets) > _MAX_SETS:
            raise _refusal("it has many parameter sets")
        if not packet.is_keyframe or self._sets > sets:
            return ""
        return "clean" if clean else "recovery" if recovers else ""

    def _recovers(self, body: bytes) -> bool:
        """Say whether messages make their picture a recovery point that is exact at once."""
        found = False
        for kind, data in _messages(body):
            named = _ENCODER.search(data) if kind == _USER_DATA else None
            if kind in (_FILM_GRAIN, _ORIENTATION) or (named and int(named[1]) < _EXACT_BUILD):
                raise _refusal("a message before it may act on what follows")
            point = kind == _RECOVERY_POINT and self._syntax.header_bytes == 1
            found |= point and data[0] >> 6 == _AT_ONCE_EXACT
        return found


def _length_bytes(codec: av.VideoCodecContext) -> int:
    """Return how many bytes hold the length of a unit, 0 where start codes part the units."""
    header = codec.extradata or b""
    if header[:1] != b"\1":
        return 0
    place = 4 if codec.name == "h264" else 21
    if len(header) <= place:
        raise _refusal("its header is cut")
    return (header[place] & 3) + 1


def _units(data: memoryview, length_bytes: int) -> Iterator[memoryview]:
    """Part a packet into its units."""
    if not length_bytes:
        yield from (memoryview(unit) for unit in bytes(data).split(_START_CODE)[1:] if unit)
        return
    at = 0
    while at < len(data):
        end = at + length_bytes + int.from_bytes(data[at : at + length_bytes])
        unit, at = data[at + length_bytes : end], end
        if not unit or end > len(data):
            raise _refusal("a packet before it is damaged")
        yield unit


def _messages(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Part a unit of messages into kinds and contents (H.264, 7.3.2.3.1)."""
    body = body.rstrip(b"\0").removesuffix(b"\x80").replace(b"\0\0\3", b"\0\0")
    at = 0
    while at < len(body):
        numbers = [0, 0]
        for place in range(2):
            while body[at : at + 1] == b"\xff":
                numbers[place] += 255
                at += 1
            numbers[place] += int.from_bytes(body[at : at + 1])
            at += 1
        kind, size = numbers
        if not 0 < size <= len(body) - at:
            raise _refusal("a message before it is damaged")
        yield kind, body[at : at + size]
        at += size


def _refusal(problem: str) -> StartError:
    return StartError("clip", problem, "read it from its start")
