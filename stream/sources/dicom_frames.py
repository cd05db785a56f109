"""Where each frame of a DICOM file lies, without reading the frames."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.uid import RLELossless

from stream.errors import SourceError
from stream.sources.base import Problem
from stream.sources.dicom_header import Header
from stream.sources.dicom_layout import Layout
from stream.sources.dicom_walk import Element, read_at

MAX_FRAGMENTS = 200_000

_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_CODESTREAM_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\0\0")  # JPEG and JPEG-LS, JPEG 2000, JP2 box
_RLE_HEADER_BYTES = 64

Span = tuple[int, int]


class DamagedFrameError(ValueError):
    """One frame whose data cannot be decoded; the others may be good."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a file.

    Parameters
    ----------
    spans : for each whole frame the (offset, length) of its pieces, in order
    problems : what is wrong with their number
    """

    spans: tuple[tuple[Span, ...], ...]
    problems: tuple[Problem, ...]

    def read(self, stream: BinaryIO, index: int, limit: int) -> bytes:
        """Return the bytes of one frame.

        Raises
        ------
        DamagedFrameError
            If they are more than `limit`; nothing is read then.
        """
        length = sum(length for _, length in self.spans[index])
        if length > limit:
            raise DamagedFrameError(f"{length} bytes, at most {limit} make sense")
        return b"".join(read_at(stream, *span) for span in self.spans[index])


def longest_frame_bytes(header: Header) -> int:
    """Return more bytes than any encoder makes of a frame."""
    return 2 * header.frame_bytes + (1 << 20)


def find_frames(layout: Layout, header: Header, name: str) -> Frames:
    """Find the whole frames of a file and compare their number with the declared one.

    Raises
    ------
    SourceError
        D02 cut before the first whole frame, D03 a length beyond the end that no cut explains,
        D05 an RLE frame larger than RLE can make it, D06 no frame, D08 no fragment.

    References
    ----------
    DICOM PS3.5 section 8.2 and annex A.4 (encapsulated pixel data), annex G (RLE).
    """
    element = layout.pixels
    if element is None:
        raise ValueError("a layout without pixel data has no frames")
    if (element.length is None) != header.syntax.is_encapsulated:
        raise _damaged(name, f"pixel data do not match the transfer syntax {header.syntax.name}")
    if element.length is not None:
        return _native(layout, element, element.length, header, name)
    return _encapsulated(layout, element, header, name)


def _native(layout: Layout, element: Element, length: int, header: Header, name: str) -> Frames:
    size = header.frame_bytes
    there = min(length, layout.size - element.offset)
    cut = there < length
    if cut and length > max(1, header.declared_frames or 0) * size + 1:
        problem = f"pixel data claim {length} bytes, {there} are there"
        raise SourceError(name, problem, "export the file again", fault="D03")
    spans = tuple(((element.offset + i * size, size),) for i in range(there // size))
    return _counted(spans, header, name, cut=cut, fault="D06")


def _encapsulated(layout: Layout, element: Element, header: Header, name: str) -> Frames:
    fragments, cut = _fragments(layout, element.offset, header, name)
    groups = _group(layout.stream, fragments[1:], header)
    if header.syntax == RLELossless:
        # Literal runs add one byte in 128 and one per row of at least 64 pixels.
        longest = header.frame_bytes * 9 // 8 + _RLE_HEADER_BYTES
        for number, group in enumerate(groups, start=1):
            if (packed := sum(length for _, length in group)) > longest:
                problem = f"RLE frame {number} has {packed} bytes, at most {longest} make sense"
                raise SourceError(name, problem, "export the file again", fault="D05")
    return _counted(groups, header, name, cut=cut, fault="D08")


def _fragments(layout: Layout, position: int, header: Header, name: str) -> tuple[list[Span], bool]:
    """Return the pieces of encapsulated pixel data, offset table first, and if they end early."""
    pieces: list[Span] = []
    order = "<" if layout.little_endian else ">"
    while len(pieces) <= MAX_FRAGMENTS:
        raw = read_at(layout.stream, position, 8)
        if len(raw) < 8:
            return pieces, True
        group, number, length = struct.unpack(order + "HHL", raw)
        if (group << 16 | number) == _SEQUENCE_END:
            return pieces, False
        if (group << 16 | number) != _ITEM:
            return pieces, True
        position += 8
        if position + length > layout.size:
            if length > longest_frame_bytes(header):
                problem = f"a fragment claims {length} bytes, {layout.size - position} are there"
                raise SourceError(name, problem, "export the file again", fault="D03")
            return pieces, True
        pieces.append((position, length))
        position += length
    raise _damaged(name, f"more than {MAX_FRAGMENTS} fragments")


def _group(stream: BinaryIO, fragments: list[Span], header: Header) -> tuple[tuple[Span, ...], ...]:
    """Put fragments together into frames, by their first bytes rather than by an offset table.

    One fragment is one frame when the numbers agree, and always with RLE (PS3.5 annex A.4.2).
    """
    if header.syntax == RLELossless or len(fragments) == header.declared_frames:
        return tuple((fragment,) for fragment in fragments)
    frames: list[list[Span]] = []
    for fragment in fragments:
        if read_at(stream, fragment[0], 2) in _CODESTREAM_STARTS or not frames:
            frames.append([])
        frames[-1].append(fragment)
    return tuple(tuple(frame) for frame in frames)


def _counted(
    spans: tuple[tuple[Span, ...], ...], header: Header, name: str, *, cut: bool, fault: str
) -> Frames:
    present, declared = len(spans), header.declared_frames
    shown = "none" if declared is None else str(declared)
    text = f"{shown} frames declared, {present} present"
    if not present:
        problem = "cut before the end of the first frame" if cut else text
        remedy = "export the file again"
        raise SourceError(name, problem, remedy, fault="D02" if cut else fault)
    agreed = present == (1 if declared is None else declared)
    if cut:
        text += "; the file ends inside its pixel data" if not agreed else "; its end is missing"
        return Frames(spans, (Problem("D02", text, partial=not agreed),))
    if agreed:
        return Frames(spans, ())
    more = declared is None or declared < present
    return Frames(spans, (Problem("D06" if more else fault, text, partial=True),))


def _damaged(name: str, problem: str) -> SourceError:
    return SourceError(name, f"data damaged: {problem}", "export the file again", fault="D08")
