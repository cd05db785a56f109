"""A flat walk over DICOM data elements with limits, before anything is decoded.

The walk never recurses and never allocates what a length field asks for.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from stream.errors import SourceError

MAX_DEPTH = 32
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@dataclass(frozen=True, slots=True)
class Element:
    """One data element: its tag, and where its value lies; `length` is None when undefined."""

    tag: int
    vr: str
    offset: int
    length: int | None

    def __str__(self) -> str:
        return f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X})"


def read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Read up to `length` bytes from `offset`."""
    stream.seek(offset)
    return stream.read(length)


@dataclass(frozen=True, slots=True)
class _Open:
    kind: Literal["sequence", "item", "fragments"]
    end: int | None
    implicit: bool


@dataclass(slots=True)
class Walk:
    """A cursor over data elements, with the sequences and items it is inside of.

    Parameters
    ----------
    stream, size : the bytes to walk over
    name : subject of errors
    position : where the first element starts
    implicit, little : encoding of the elements
    inside : open sequences and items, outermost first

    References
    ----------
    DICOM PS3.5 sections 7.1 (elements), 7.5 (sequences) and A.4 (fragments).
    """

    stream: BinaryIO
    size: int
    name: str
    position: int
    implicit: bool = False
    little: bool = True
    inside: list[_Open] = field(default_factory=list)

    def elements(self, only_group: int | None = None, depth: int = 0) -> Iterator[Element]:
        """Yield the elements of one level; `position` is at the first element not yielded.

        Parameters
        ----------
        only_group : stop in front of the first top-level element of another group
        depth : how many sequences and items the yielded elements lie inside of; 0 is the top

        Raises
        ------
        SourceError
            D02 cut or broken, D03 a length beyond the end, D04 nested too deep.
        """
        while self._more(only_group):
            element = self._read_header()
            if element.tag in (_ITEM, _ITEM_END, _SEQUENCE_END):
                self._delimit(element)
                continue
            self._check_length(element)
            if len(self.inside) == depth:
                yield element
            self._enter_or_skip(element)

    def _more(self, only_group: int | None) -> bool:
        while self.inside and self.inside[-1].end == self.position:
            self.inside.pop()
        if self.position >= self.size and not self.inside:
            return False
        tag = read_at(self.stream, self.position, 2)
        return only_group is None or bool(self.inside) or tag == struct.pack("<H", only_group)

    def _read_header(self) -> Element:
        order = "<" if self.little else ">"
        raw = read_at(self.stream, self.position, 12)
        if len(raw) < 8 or (raw[:2] == b"\0\0" and not self.inside):
            raise self._error("D02", f"the header ends or breaks at byte {self.position}")
        group, number, length = struct.unpack(order + "HHL", raw[:8])
        tag, size, vr = group << 16 | number, 8, ""
        implicit = self.inside[-1].implicit if self.inside else self.implicit
        if group == 0xFFFE:
            return self._element(tag, vr, size, length)
        # Some scanners write implicit elements into explicit files; letters tell them apart.
        if implicit or not raw[4:6].isalpha() or not raw[4:6].isupper():
            return self._element(tag, _dictionary_vr(tag), size, length)
        vr = raw[4:6].decode("ascii")
        if vr not in EXPLICIT_VR_LENGTH_32:
            return self._element(tag, vr, size, struct.unpack(order + "H", raw[6:8])[0])
        if len(raw) < 12:
            raise self._error("D02", f"the header ends at byte {self.size}")
        return self._element(tag, vr, 12, struct.unpack(order + "L", raw[8:12])[0])

    def _element(self, tag: int, vr: str, header: int, length: int) -> Element:
        known = None if length == _UNDEFINED else length
        return Element(tag, vr, self.position + header, known)

    def _check_length(self, element: Element) -> None:
        ends = [level.end for level in self.inside if level.end is not None]
        limit = min([self.size, *ends])
        at_pixels = element.tag in PIXEL_TAGS and not self.inside
        if element.length is None or at_pixels or element.offset + element.length <= limit:
            return
        if self.size == limit and element.length <= self.size:
            raise self._error("D02", f"the file ends inside element {element}")
        raise self._error("D03", f"element {element} claims {element.length} bytes beyond the end")

    def _delimit(self, element: Element) -> None:
        self.position = element.offset
        level = self.inside[-1] if self.inside else None
        if element.tag == _ITEM and level is not None and level.kind != "item":
            self._check_length(element)
            if level.kind == "fragments":
                self.position += element.length or 0
                return
            end = None if element.length is None else element.offset + element.length
            self.inside.append(_Open("item", end, level.implicit))
        elif level is not None and (level.kind == "item") == (element.tag == _ITEM_END):
            self.inside.pop()
        else:
            raise self._error("D02", f"misplaced delimiter {element} at byte {element.offset - 8}")

    def _enter_or_skip(self, element: Element) -> None:
        self.position = element.offset
        unknown = element.vr == "UN" and element.length is None
        if element.vr != "SQ" and not unknown and element.length is not None:
            self.position += element.length
            return
        end = None if element.length is None else element.offset + element.length
        implicit = self.inside[-1].implicit if self.inside else self.implicit
        nested = element.vr == "SQ" or unknown
        self.inside.append(
            _Open("sequence" if nested else "fragments", end, implicit or element.vr == "UN")
        )
        if sum(level.kind == "sequence" for level in self.inside) > MAX_DEPTH:
            raise self._error("D04", f"sequences nested deeper than {MAX_DEPTH}")

    def _error(self, fault: str, problem: str) -> SourceError:
        return SourceError(self.name, problem, "export the file again", fault=fault)


def read_items(
    value: bytes, wanted: Mapping[int, str], *, implicit: bool, little: bool
) -> list[dict[str, bytes]]:
    """Return the raw values of each item of a sequence, by keyword.

    Parameters
    ----------
    value : all bytes of the sequence, a delimiter at its end included
    wanted : keywords by tag

    Raises
    ------
    SourceError
        If the items are broken.
    """
    walk = Walk(io.BytesIO(value), len(value), "sequence", 0, implicit, little)
    walk.inside.append(_Open("sequence", len(value), implicit))
    items: list[dict[str, bytes]] = []
    item = None
    for element in walk.elements(depth=2):
        if walk.inside[1] is not item:
            item = walk.inside[1]
            items.append({})
        keyword = wanted.get(element.tag)
        if keyword and element.length is not None:
            items[-1][keyword] = read_at(walk.stream, element.offset, element.length)
    return items


def _dictionary_vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"
