"""The size a compressed frame claims, read before a decoder allocates it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from stream.sources.dicom_frames import DamagedFrameError

_J2K_START = b"\xff\x4f\xff\x51"
_NOT_FRAME_HEADERS = (0xC4, 0xC8, 0xCC)
_JPEG_LS_FRAME, _SCAN, _END = 0xF7, 0xDA, 0xD9


@dataclass(frozen=True, slots=True)
class Codestream:
    """What the header of a JPEG, JPEG-LS or JPEG 2000 stream says.

    Parameters
    ----------
    rows, columns, samples : shape of the picture
    bits : bits of one sample
    """

    rows: int
    columns: int
    samples: int
    bits: int


def read_codestream(data: bytes) -> Codestream:
    """Read the frame header of a compressed frame.

    Raises
    ------
    DamagedFrameError
        If there is none.

    References
    ----------
    ITU-T T.81 annex B.2.2 (JPEG), T.87 annex C.2.2 (JPEG-LS), T.800 annex A.5.1 (JPEG 2000).
    """
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        start = data[:4096].find(_J2K_START)
        if start >= 0:
            return _jpeg_2000(data, start + 4)
    except (struct.error, IndexError) as error:
        raise DamagedFrameError("its header is cut") from error
    raise DamagedFrameError("no JPEG or JPEG 2000 header")


def _jpeg(data: bytes) -> Codestream:
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in (_SCAN, _END):
            break
        if marker == _JPEG_LS_FRAME or (marker & 0xF0 == 0xC0 and marker not in _NOT_FRAME_HEADERS):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, position + 4)
            return Codestream(rows, columns, samples, bits)
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    raise DamagedFrameError("no JPEG frame header")


def _jpeg_2000(data: bytes, position: int) -> Codestream:
    right, bottom, left, top = struct.unpack_from(">4L", data, position + 4)
    samples, depth = struct.unpack_from(">HB", data, position + 36)
    return Codestream(bottom - top, right - left, samples, (depth & 0x7F) + 1)
