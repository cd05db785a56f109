"""What a DICOM header says about its pictures, checked before any pixel is read."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from pydicom.config import IGNORE
from pydicom.uid import (
    UID,
    MediaStorageDirectoryStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from stream.errors import SourceError
from stream.sources.dicom_layout import Layout
from stream.sources.dicom_values import Values
from stream.sources.video_checks import check_size

_ACCEPTED = (
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    UID("1.2.840.10008.5.1.4.1.1.6"),  # Ultrasound Image, retired
    UID("1.2.840.10008.5.1.4.1.1.3"),  # Ultrasound Multi-frame Image, retired
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
_MAX_CODE_CHARS = 16
_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422")
_JPEG_2000_COLOUR = ("YBR_ICT", "YBR_RCT")


@dataclass(frozen=True, slots=True)
class Header:
    """The Image Pixel module of a file, checked.

    Parameters
    ----------
    sop_class, syntax : UIDs of the object and of its encoding
    little_endian : byte order of native pixels
    words : True when native pixels are a string of 16-bit words (OW), False for bytes (OB)
    rows, columns, samples, photometric, planar : layout of one picture
    bits_allocated, bits_stored, signed : layout of one sample
    aspect : vertical and horizontal size of a pixel, in any unit
    declared_frames : what the file claims, or None when absent or unreadable

    References
    ----------
    DICOM PS3.3 section C.7.6.3 (Image Pixel) and C.7.6.6 (Multi-frame).
    """

    sop_class: UID
    syntax: UID
    little_endian: bool
    words: bool
    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    aspect: tuple[int, int]
    declared_frames: int | None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame without compression."""
        pixels = self.rows * self.columns
        if self.photometric == "YBR_FULL_422" and not self.syntax.is_encapsulated:
            return pixels * 2
        return pixels * self.samples * self.bits_allocated // 8

    @property
    def shown_wh(self) -> tuple[int, int]:
        """Width and height with square pixels: the shorter axis is stretched.

        References
        ----------
        DICOM PS3.3 section C.7.6.3.1.7: vertical pixel size, then horizontal.
        """
        vertical, horizontal = self.aspect
        if min(self.aspect) <= 0 or vertical == horizontal:
            return self.columns, self.rows
        if horizontal > vertical:
            return round(self.columns * horizontal / vertical), self.rows
        return self.columns, round(self.rows * vertical / horizontal)


def read_header(layout: Layout, name: str) -> Header:
    """Check the class and the Image Pixel module.

    Raises
    ------
    SourceError
        D07 a tag has a value that is not allowed, D11 the object holds no ultrasound picture,
        D12 a directory file, V13 and V14 the picture is too small or too large.
    """
    values = Values(layout.values, layout.little_endian)
    sop_class = _check_class(layout, values, name)
    syntax = UID(layout.syntax, IGNORE)
    if complaints := _complaints(values, syntax):
        raise SourceError(name, ", ".join(complaints), "export the file again", fault="D07")
    aspect, frames = values.integers("PixelAspectRatio"), values.integers("NumberOfFrames")
    header = Header(
        sop_class=sop_class,
        syntax=syntax,
        little_endian=layout.little_endian,
        words=layout.pixels is not None and layout.pixels.vr != "OB",
        rows=values.short("Rows") or 0,
        columns=values.short("Columns") or 0,
        samples=values.short("SamplesPerPixel") or 0,
        photometric=values.text("PhotometricInterpretation"),
        planar=values.short("PlanarConfiguration") or 0,
        bits_allocated=values.short("BitsAllocated") or 0,
        bits_stored=values.short("BitsStored") or 0,
        signed=values.short("PixelRepresentation") == 1,
        aspect=(aspect[0], aspect[1]) if len(aspect) == 2 else (1, 1),
        declared_frames=frames[0] if len(frames) == 1 else None,
    )
    check_size(header.columns, header.rows, name)
    check_size(*header.shown_wh, name)
    return header


def _check_class(layout: Layout, values: Values, name: str) -> UID:
    uid = values.text("SOPClassUID") or values.text("MediaStorageSOPClassUID")
    sop_class = UID(uid, IGNORE)
    shown = sop_class.name if sop_class.is_valid and uid else "of no readable SOP class"
    if sop_class == MediaStorageDirectoryStorage:
        problem = "a DICOM directory, which only points to other files"
        raise SourceError(name, problem, "give the image files themselves", fault="D12")
    if sop_class not in _ACCEPTED:
        accepted = ", ".join(sorted({uid.name for uid in _ACCEPTED}))
        raise SourceError(name, f"the object is {shown}", f"accepted: {accepted}", fault="D11")
    if layout.pixels is None:
        problem = f"the object is {shown} without pixel data"
        raise SourceError(name, problem, "give a file with pictures", fault="D11")
    return sop_class


def _complaints(values: Values, syntax: UID) -> list[str]:
    """Name each tag whose value is not allowed, with the value and what is."""
    samples, allocated = values.short("SamplesPerPixel"), values.short("BitsAllocated")
    colour = samples == 3
    j2k = _JPEG_2000_COLOUR if syntax.is_encapsulated else ()
    stored = range(8, 9) if colour else range(1, (allocated or 16) + 1)
    planar = values.short("PlanarConfiguration")
    high = (values.short("BitsStored") or 1) - 1
    rules: list[tuple[str, object, Container[object], str]] = [
        ("Rows", values.short("Rows"), range(1, 65536), "1 to 65535"),
        ("Columns", values.short("Columns"), range(1, 65536), "1 to 65535"),
        ("SamplesPerPixel", samples, (1, 3), "1 or 3"),
        ("BitsAllocated", allocated, (8,) if colour else (8, 16), "8, or 16 for grey"),
        ("BitsStored", values.short("BitsStored"), stored, f"{stored[0]} to {stored[-1]}"),
        ("HighBit", values.short("HighBit"), (high, None), str(high)),
        ("PixelRepresentation", values.short("PixelRepresentation"), (0, 1, None), "0 or 1"),
        ("PlanarConfiguration", planar, (0, 1, None), "0 or 1"),
        _photometric_rule(values, (_COLOUR + j2k) if colour else _GREY),
    ]
    if values.text("PhotometricInterpretation") == "YBR_FULL_422" and not syntax.is_encapsulated:
        rules.append(("Columns", values.short("Columns"), range(2, 65536, 2), "even for 4:2:2"))
    return [
        f"{keyword} is {'absent' if seen in (None, '') else seen}, allowed {words}"
        for keyword, seen, allowed, words in rules
        if seen not in allowed
    ]


def _photometric_rule(
    values: Values, allowed: tuple[str, ...]
) -> tuple[str, object, Container[object], str]:
    text = values.text("PhotometricInterpretation")[:_MAX_CODE_CHARS]
    seen = "".join(char if char.isprintable() else "?" for char in text)
    return "PhotometricInterpretation", seen, allowed, ", ".join(allowed)
