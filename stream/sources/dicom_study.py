"""What a DICOM file says about its patient, its study and itself; read in a sandboxed child.

Nothing here is logged or printed: the values identify people.
"""

from __future__ import annotations

import hashlib
import io
import os
import select
import socket
import warnings
from pathlib import Path

import msgspec

from stream.errors import SourceError
from stream.sources.child import OurPython
from stream.sources.regular import open_regular, shown_name
from stream.sources.sandbox_wire import MAX_MESSAGE_BYTES, Refused, Request

PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
    *("ReferringPhysicianName", "TimezoneOffsetFromUTC"),
)
ITSELF = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "NumberOfFrames"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    "BurnedInAnnotation",
)

_CHILD = "stream.sources.dicom_study_child"
_MAX_HEADER_BYTES = 16 << 20
_MAX_TEXT_BYTES = 4096
_CHUNK_BYTES = 1 << 20
_MEMORY_BYTES, _STALL_S = 2 << 30, 20.0
_COMPONENT_DELIMITERS = {0x5C, 0x5E, 0x3D}  # backslash, caret, equals: PS3.5 section 6.1.2.5.3


class Study(msgspec.Struct, array_like=True, tag="study", frozen=True):
    """Child to parent: what the header says.

    Parameters
    ----------
    sha256 : of the file whose bytes were parsed
    syntax : transfer syntax UID
    values : text by DICOM keyword; not yet checked against the value representation
    unreadable : keywords whose text cannot be decoded without guessing
    """

    sha256: str
    syntax: str
    values: dict[str, str]
    unreadable: tuple[str, ...]


def read_study(path: Path) -> Study:
    """Read patient and study of a DICOM file in a process of its own.

    Raises
    ------
    SourceError
        V21, D01 to D05 and D08 of the fault specification, F10 or F11 when the child is lost.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    printed = os.memfd_create("sonostream-printed", os.MFD_CLOEXEC)
    with ours:
        with theirs:
            child = OurPython(_CHILD, theirs, printed, str(_MEMORY_BYTES))
        try:
            return _ask(ours, path)
        finally:
            child.close()
            os.close(printed)


def _ask(channel: socket.socket, path: Path) -> Study:
    name = shown_name(str(path))
    try:
        channel.send(msgspec.msgpack.encode(Request("dicom", os.fsencode(path.absolute()))))
        if not select.select([channel], [], [], _STALL_S)[0]:
            problem = f"not parsed in {_STALL_S:g} s"
            raise SourceError(name, problem, "the file may be hostile", fault="F11")
        data = channel.recv(MAX_MESSAGE_BYTES)
        answer = msgspec.msgpack.decode(data, type=Study | Refused)
    except (OSError, msgspec.MsgspecError) as error:
        problem = "the process that parses it was lost"
        raise SourceError(name, problem, "the file may be hostile", fault="F10") from error
    if isinstance(answer, Refused):
        raise answer.error()
    return answer


def parse_study(path: str) -> Study:
    """Read patient and study of a DICOM file in this process; only the child calls it.

    The header is parsed from the same bytes that the digest is made of.

    Raises
    ------
    SourceError
        As `read_study`.
    """
    from stream.sources.dicom_layout import read_layout, tags_of

    name = shown_name(path)
    with open_regular(path) as file:
        head = file.read(_MAX_HEADER_BYTES)
        digest = hashlib.sha256(head)
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    wanted = tags_of((*PATIENT, *STUDY, *ITSELF, "SpecificCharacterSet"))
    layout = read_layout(io.BytesIO(head), name, wanted)
    values, unreadable = _decode(layout.values)
    return Study(digest.hexdigest(), layout.syntax, values, tuple(unreadable))


def _decode(raw: dict[str, bytes]) -> tuple[dict[str, str], list[str]]:
    charset = raw.pop("SpecificCharacterSet", b"").decode("ascii", "replace").strip(" \0")
    values, unreadable = {}, []
    for keyword in (*PATIENT, *STUDY, *ITSELF):
        if keyword not in raw:
            continue
        text = _text(raw[keyword], charset)
        if text is None:
            unreadable.append(keyword)
        else:
            values[keyword] = text
    return values, unreadable


def _text(value: bytes, charset: str) -> str | None:
    """Return a value as text, or None when it cannot be told which text it is.

    References
    ----------
    DICOM PS3.3 section C.12.1.1.2 (SpecificCharacterSet): absent means ASCII alone.
    """
    from pydicom.charset import convert_encodings, decode_bytes

    if len(value) > _MAX_TEXT_BYTES:
        return None
    if not charset:
        plain = value.isascii() and b"\x1b" not in value
        return value.decode("ascii").strip(" \0") if plain else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom warns where it guesses
            encodings = convert_encodings([part.strip() for part in charset.split("\\")])
            return str(decode_bytes(value, encodings, _COMPONENT_DELIMITERS)).strip(" \0")
    except (UnicodeError, LookupError, ValueError, UserWarning):
        return None
