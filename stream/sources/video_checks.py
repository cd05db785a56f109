"""What can be said about a video file before any decoder touches it."""

from __future__ import annotations

import mmap
import os
from typing import BinaryIO, NamedTuple

from stream.errors import SourceError

MAX_SIDE_PX = 4096
MIN_SIDE_PX = 64

_HEAD_BYTES = 4096
_MIN_FILE_BYTES = 32
_GIF_EXTENSION, _GIF_IMAGE, _GIF_TRAILER = 0x21, 0x2C, 0x3B
_LISTS = (
    b"#extm3u",
    b"ffconcat",
    b"[playlist]",
    b"[reference]",
    b"<asx",
    b"<smil",
    b"<mpd",
    b"rtsptext",
    b"v=0\n",
    b"v=0\r\n",
)
_LIST_MARKS = (b"<mpd", b"<smil", b"compositionplaylist", b"<playlist")
_KINDS = (
    (b"\x1f\x8b", "gzip data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"\xfd7zXZ", "xz data"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"BZh", "bzip2 data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)
_VIDEO_MARKS = (b"RIFF", b"\x1aE\xdf\xa3", b"GIF8", b"\x00\x00\x01", b"OggS", b"FLV", b"0&\xb2u")
_MP4_BOXES = frozenset(
    [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"sidx", b"styp", b"pnot"]
)
_MP4_DATA = frozenset([b"mdat", b"moof"])


class Box(NamedTuple):
    """One top-level box of an ISO base media file: its type, first byte and declared length."""

    kind: bytes
    start: int
    length: int


def check_content(file: BinaryIO, name: str) -> None:
    """Refuse what must never reach FFmpeg: empty files (V01) and lists of other files (V22)."""
    size = os.fstat(file.fileno()).st_size
    if size < _MIN_FILE_BYTES:
        what = "the file is empty" if size == 0 else f"{size} bytes hold no header"
        raise SourceError(name, what, "copy the recording again", fault="V01")
    text = _head(file).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    markup = text.startswith(b"<") and any(mark in text for mark in _LIST_MARKS)
    if text.startswith(_LISTS) or markup:
        raise SourceError(
            name, "a list that points to other files", "give the video itself", fault="V22"
        )


def check_size(width: int, height: int, name: str) -> None:
    """Refuse pictures that are too small to mean anything (V13) or too large to hold (V14)."""
    if max(width, height) > MAX_SIDE_PX:
        limit = f"at most {MAX_SIDE_PX}x{MAX_SIDE_PX} is accepted"
        raise SourceError(name, f"the picture is {width}x{height}", limit, fault="V14")
    if min(width, height) < MIN_SIDE_PX:
        limit = f"at least {MIN_SIDE_PX}x{MIN_SIDE_PX} is needed"
        raise SourceError(name, f"the picture is {width}x{height}", limit, fault="V13")


def explain_refusal(file: BinaryIO, name: str, reason: str) -> SourceError:
    """Say why FFmpeg could not open the file.

    Parameters
    ----------
    file : the file that was refused
    name : subject of the error
    reason : what FFmpeg said

    Returns
    -------
    V02 for a file that is no video, V03 and V04 for recordings that were cut, V10 for a
    damaged one
    """
    head = _head(file)
    boxes = mp4_boxes(file)
    if boxes:
        return _explain_mp4(boxes, file, name, reason)
    if head.startswith(_VIDEO_MARKS):
        return SourceError(
            name, f"no decodable frame ({reason})", "copy the recording again", fault="V04"
        )
    return SourceError(name, f"not a video but {_kind(head)}", "give a video file", fault="V02")


def mp4_boxes(file: BinaryIO) -> list[Box]:
    """List the top-level boxes of an MP4 or MOV file; empty when it is none.

    References
    ----------
    ISO/IEC 14496-12 (2022), section 4.2.
    """
    size = os.fstat(file.fileno()).st_size
    boxes: list[Box] = []
    start = 0
    while start + 8 <= size and len(boxes) < 10_000:
        header = os.pread(file.fileno(), 16, start)
        length, kind = int.from_bytes(header[:4]), header[4:8]
        if not boxes and kind not in _MP4_BOXES:
            break
        if length == 1:
            length = int.from_bytes(header[8:16])
        elif length == 0:
            length = size - start
        boxes.append(Box(kind, start, length))
        if length < 8:
            break
        start += length
    return boxes


def find_cut(file: BinaryIO) -> str | None:
    """Say how the structure of an MP4, AVI or GIF file breaks off, or return None.

    Other containers are not looked into; they give themselves away by their declared length.
    """
    head, size = _head(file), os.fstat(file.fileno()).st_size
    if head.startswith(b"GIF8"):
        return _find_gif_cut(file)
    ends = [box.start + box.length for box in mp4_boxes(file) if box.kind in _MP4_DATA]
    if head.startswith(b"RIFF") and head[4:8] != b"\xff\xff\xff\xff":  # not yet known
        ends = [8 + int.from_bytes(head[4:8], "little")]
    missing = [end for end in ends if end > size]
    return f"{size} of {missing[0]} bytes are present" if missing else None


def index_is_cut(file: BinaryIO) -> bool:
    """Tell whether an MP4 file ends inside its index."""
    size = os.fstat(file.fileno()).st_size
    return any(b.kind == b"moov" and b.start + b.length > size for b in mp4_boxes(file))


def _find_gif_cut(file: BinaryIO) -> str | None:
    """Walk over the blocks of a GIF up to its trailer.

    References
    ----------
    GIF89a specification (1990), sections 18 to 27.
    """
    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        place = 13 + _palette_bytes(data[10])
        try:
            while data[place] != _GIF_TRAILER:
                if data[place] == _GIF_IMAGE:
                    place += 11 + _palette_bytes(data[place + 9])
                elif data[place] == _GIF_EXTENSION:
                    place += 2
                else:
                    return f"its structure breaks at byte {place} of {len(data)}"
                while data[place]:
                    place += 1 + data[place]
                place += 1
        except IndexError:
            return "its last block is incomplete"
    return None


def _palette_bytes(flags: int) -> int:
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _explain_mp4(boxes: list[Box], file: BinaryIO, name: str, reason: str) -> SourceError:
    if not any(box.kind == b"moov" for box in boxes):
        remedy = "rebuild its index with a repair tool and an intact clip of the same device"
        return SourceError(name, "the recording was cut before its index", remedy, fault="V03")
    if index_is_cut(file):
        problem = "the file ends inside its index; no decodable frame"
        return SourceError(name, problem, "copy the recording again", fault="V04")
    return SourceError(
        name, f"the index is damaged ({reason})", "copy the recording again", fault="V10"
    )


def _head(file: BinaryIO) -> bytes:
    return os.pread(file.fileno(), _HEAD_BYTES, 0)


def _kind(head: bytes) -> str:
    for mark, kind in _KINDS:
        if head.lower().startswith(mark.lower()):
            return kind
    if not head.strip(b"\0"):
        return "zeros"
    try:
        head[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return "unknown data"
    return "text" if b"\0" not in head else "unknown data"
