"""Values for DICOM elements: what may go into one, and where it is read from a small file."""

from __future__ import annotations

import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from stream.errors import SourceError, UsageError
from stream.sources.dicom_study import PATIENT, STUDY
from stream.sources.regular import open_regular, shown_name

ALLOWED = tuple(
    key for key in (*PATIENT, *STUDY) if key not in ("StudyTime", "TimezoneOffsetFromUTC")
)

_MAX_BYTES = 64 << 10
_SEXES = ("M", "F", "O")
_OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")


def complaint(keyword: str, text: str) -> str:
    """Say why a text cannot be the one value of an element, or nothing; never repeats the text.

    References
    ----------
    DICOM PS3.5 section 6.2 (value representations), PS3.3 section C.7.1.1 (PatientSex).
    """
    from pydicom.config import RAISE
    from pydicom.datadict import dictionary_VR
    from pydicom.valuerep import validate_value

    vr = dictionary_VR(keyword)
    if not text:
        return ""
    if "\\" in text or not text.isprintable():
        return "has control characters or more than one value"
    try:
        validate_value(vr, text, RAISE)
        if vr == "DA":
            datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return f"is no value of type {vr}"
    if keyword == "PatientSex" and text not in _SEXES:
        return f"is none of {', '.join(_SEXES)}"
    if keyword == "TimezoneOffsetFromUTC" and not _OFFSET.fullmatch(text):
        return "is no offset such as +0100"
    return ""


def read_patient_file(path: Path) -> dict[str, str]:
    """Read patient and study from a JSON or TOML file of DICOM keywords.

    Raises
    ------
    UsageError
        If it is neither, has other keywords, or a value that its element cannot have.
    """
    name = shown_name(str(path))
    found = _parse(path, name)
    unknown = sorted(str(key) for key in found if key not in ALLOWED)
    if unknown:
        shown = ", ".join(key[:64] for key in unknown[:20] if key.isprintable())
        raise UsageError(name, f"unknown keys: {shown}", f"known: {', '.join(ALLOWED)}")
    texts = {key: value for key, value in found.items() if isinstance(value, str)}
    wrong = [f"{key} is no text" for key in found if key not in texts]
    wrong += [f"{key} {why}" for key, text in texts.items() if (why := complaint(key, text))]
    if wrong:
        raise UsageError(name, "; ".join(wrong), "see docs/dicom-out.md")
    return texts


def _parse(path: Path, name: str) -> dict[Any, Any]:
    try:
        with open_regular(str(path)) as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        if path.suffix.lower() == ".toml":
            return tomllib.loads(data.decode())
        return msgspec.json.decode(data, type=dict[str, Any])
    except SourceError as error:
        raise UsageError(name, error.problem, error.remedy, fault=error.fault) from error
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        kind = type(error).__name__  # its text may quote the file
        raise UsageError(name, f"neither DICOM nor JSON or TOML ({kind})", "see docs") from error
