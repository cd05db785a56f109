"""Where things are in a DICOM file, and the few values that its pictures need.

Names of patients are never read, unless somebody asks for them by name.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from stream.errors import SourceError
from stream.sources.dicom_inflate import inflate
from stream.sources.dicom_walk import PIXEL_TAGS, Element, Walk, read_at

_MAX_VALUE_BYTES = 256 << 10
_PALETTE = "PaletteColorLookupTable"
_KEYWORDS = (
    *("MediaStorageSOPClassUID", "TransferSyntaxUID", "SOPClassUID", "NumberOfFrames"),
    *("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate"),
    *("Rows", "Columns", "PixelAspectRatio", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope"),
    *("SequenceOfUltrasoundRegions", "PixelSpacing"),
    *(f"{colour}{_PALETTE}Descriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}{_PALETTE}Data" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}{_PALETTE}Data" for colour in ("Red", "Green", "Blue")),
)


def tags_of(keywords: Iterable[str]) -> dict[int, str]:
    """Return DICOM keywords by tag."""
    return {tag: key for key in keywords if (tag := tag_for_keyword(key)) is not None}


PICTURE_TAGS = tags_of(_KEYWORDS)
META_TAGS = tags_of(("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"))


@dataclass(frozen=True, slots=True)
class Layout:
    """What the walk found.

    Parameters
    ----------
    stream, size : the bytes that offsets refer to; inflated when the transfer syntax is deflated
    syntax : transfer syntax UID, empty when absent
    little_endian : byte order of the data set
    values : raw bytes of the wanted top-level elements, by DICOM keyword; of a sequence all that
        lies between its header and the next element
    pixels : the pixel data element, or None; its length may reach beyond the end
    """

    stream: BinaryIO
    size: int
    syntax: str
    little_endian: bool
    values: dict[str, bytes]
    pixels: Element | None


def read_layout(stream: BinaryIO, name: str, wanted: Mapping[int, str] = PICTURE_TAGS) -> Layout:
    """Walk a DICOM file up to its pixel data.

    Parameters
    ----------
    wanted : keywords by tag of the top-level elements whose values are read

    Raises
    ------
    SourceError
        D01 not DICOM, D02 cut in the header, D03 a length beyond the end, D04 nested too deep,
        D05 a deflated bomb, D08 an unknown transfer syntax.

    References
    ----------
    DICOM PS3.10 section 7.1 (file), PS3.5 section 7 (elements), section 7.5 (nesting),
    section A.5 (deflated).
    """
    size = stream.seek(0, io.SEEK_END)
    if read_at(stream, 128, 4) != b"DICM":
        raise SourceError(name, "not DICOM: no DICM prefix", "give a DICOM file", fault="D01")
    meta = Walk(stream, size, name, position=132)
    values, _ = _collect(meta, PICTURE_TAGS, only_group=2)
    syntax = values.get("TransferSyntaxUID", b"").decode("ascii", "replace").strip(" \0")
    _check_syntax(UID(syntax, IGNORE), name)
    start = meta.position
    if syntax == DeflatedExplicitVRLittleEndian:
        stream, start = inflate(stream, start, size, name), 0
        size = stream.seek(0, io.SEEK_END)
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    walk = Walk(stream, size, name, position=start, implicit=implicit, little=little)
    found, pixels = _collect(walk, wanted)
    return Layout(stream, size, syntax, little, values | found, pixels)


def read_meta(stream: BinaryIO, name: str) -> dict[str, bytes]:
    """Return the raw values of the file meta group alone, by keyword.

    Raises
    ------
    SourceError
        D01 not DICOM, D02 cut in the header, D03 a length beyond the end.
    """
    size = stream.seek(0, io.SEEK_END)
    if read_at(stream, 128, 4) != b"DICM":
        raise SourceError(name, "not DICOM: no DICM prefix", "give a DICOM file", fault="D01")
    walk = Walk(stream, size, name, position=132)
    return _collect(walk, META_TAGS, only_group=2)[0]


def _check_syntax(syntax: UID, name: str) -> None:
    if not syntax or not syntax.is_valid:
        raise SourceError(name, "no transfer syntax", "export the file again", fault="D02")
    if syntax.type != "Transfer Syntax":
        problem = f"unknown transfer syntax {syntax}"
        raise SourceError(name, problem, "export the file uncompressed", fault="D08")


def _collect(
    walk: Walk, wanted: Mapping[int, str], only_group: int | None = None
) -> tuple[dict[str, bytes], Element | None]:
    values: dict[str, bytes] = {}
    open_sequence: tuple[str, int] | None = None
    for element in walk.elements(only_group):
        _close(walk, open_sequence, values)
        open_sequence = None
        if element.tag in PIXEL_TAGS:
            return values, element
        keyword = wanted.get(element.tag)
        if keyword and element.length is None and element.vr == "SQ":
            open_sequence = keyword, element.offset
        elif keyword and element.length is not None and element.length <= _MAX_VALUE_BYTES:
            values[keyword] = read_at(walk.stream, element.offset, element.length)
    _close(walk, open_sequence, values)
    return values, None


def _close(walk: Walk, sequence: tuple[str, int] | None, values: dict[str, bytes]) -> None:
    """Read a sequence of undefined length, which ends where the walk stands now."""
    if sequence is not None and walk.position - sequence[1] <= _MAX_VALUE_BYTES:
        values[sequence[0]] = read_at(walk.stream, sequence[1], walk.position - sequence[1])
