"""Whose pictures were analysed: patient, study and source image, read and never invented."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from stream.errors import SourceError, StorageError, UsageError
from stream.report.dicom.values import complaint, read_patient_file
from stream.session.manifest import Manifest
from stream.sources.dicom_study import ITSELF, PATIENT, STUDY, Study, read_study
from stream.sources.regular import open_regular

_LOSSY_METHODS = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
}
_LOSSY_CODECS = frozenset(("h264", "hevc", "mpeg4", "mpeg2video", "mjpeg", "vp8", "vp9", "av1"))


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The DICOM instance that was analysed.

    Parameters
    ----------
    sop_class, sop_instance, series : UIDs
    frames : how many it declares
    numbered : frame n of the clip is its frame n; not so when damaged frames were left out
    """

    sop_class: str
    sop_instance: str
    series: str
    frames: int
    numbered: bool

    def frame_number(self, seq: int) -> int | None:
        """Return the DICOM frame number, from 1, of frame `seq` of the clip; None if not known."""
        known = self.frames > 1 and self.numbered and seq < self.frames
        return seq + 1 if known else None


@dataclass(frozen=True, slots=True)
class Origin:
    """What the objects of a report say about where they come from.

    Parameters
    ----------
    session : sha256 that stands for the session; identifiers of objects are derived from it
    created : when the analysis was made, UTC
    version : of the software that analysed
    values : patient and study, text by DICOM keyword, checked; identity, so never shown
    source : None unless the source was DICOM and is still the same
    lossy : LossyImageCompression, its ratio and method, as far as they are known
    burned_in : whether the pictures may show who the patient is
    notes : what could not be had and why, one line each, without identity
    """

    session: str
    created: datetime
    version: str
    values: Mapping[str, str] = field(repr=False)
    source: SourceImage | None
    lossy: Mapping[str, str]
    burned_in: Literal["YES", "NO"]
    notes: tuple[str, ...] = ()

    def local_created(self) -> datetime:
        """Return `created` on the clock of the study, UTC where that is not known."""
        offset = self.values.get("TimezoneOffsetFromUTC")
        if not offset:
            return self.created
        sign = -1 if offset[0] == "-" else 1
        ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
        return self.created.astimezone(timezone(sign * ahead))

    def without_source(self) -> Origin:
        """Return the same origin with nothing that points to the source image."""
        return replace(self, source=None)


def require_dicom() -> None:
    """Say what to install unless pydicom, highdicom and pynetdicom are there.

    Raises
    ------
    UsageError
        If one of them is missing.
    """
    for name in ("pydicom", "highdicom", "pynetdicom"):
        if find_spec(name) is None:
            raise UsageError("DICOM", f"{name} is not installed", "install sonostream[dicom]")


def read_origin(manifest: Manifest, given: Path | None) -> Origin:
    """Read patient, study and source of a session.

    They come from the source file if it was DICOM and its digest is still the one in the
    manifest, else from `given`; otherwise there are none.

    Parameters
    ----------
    given : a DICOM file, or JSON or TOML with DICOM keywords

    Raises
    ------
    UsageError
        If `given` cannot be used or is not needed, or the extra `dicom` is not installed.
    SourceError
        If `given` is a DICOM file that cannot be read.
    StorageError
        If the manifest does not say when it was made.
    """
    require_dicom()
    study, note = _source_study(manifest)
    if study is not None and given is not None:
        problem = "the source is DICOM and says itself whose it is"
        raise UsageError("--patient", problem, "leave --patient out")
    values, notes = _checked(study) if study else ({}, (note,) if note else ())
    if given is not None:
        values, notes = _given(given)
    return Origin(
        session=session_digest(manifest),
        created=_created(manifest),
        version=manifest.versions.get("sonostream", "unknown"),
        values={key: values[key] for key in (*PATIENT, *STUDY) if key in values},
        source=_source_image(values, manifest) if study else None,
        lossy=_lossy(manifest, values, study),
        burned_in="NO" if manifest.input.info.kind == "phantom" else "YES",
        notes=notes,
    )


def session_digest(manifest: Manifest) -> str:
    """Return a sha256 over what was analysed, when, by what; not over what was written since."""
    parts = (manifest.created, manifest.input, manifest.model, manifest.config, manifest.ledger)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _created(manifest: Manifest) -> datetime:
    try:
        return datetime.strptime(manifest.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise StorageError("manifest.json", "damaged: created is no time in UTC") from error


def _source_study(manifest: Manifest) -> tuple[Study | None, str]:
    source = manifest.input
    if source.info.kind != "dicom":
        return None, ""
    try:
        study = read_study(Path(source.uri))
    except SourceError as error:
        return None, f"patient and study are left empty: the source cannot be read: {error.problem}"
    if study.sha256 != source.info.sha256:
        return None, "patient and study are left empty: the source is no longer the file analysed"
    return study, ""


def _given(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    try:
        with open_regular(str(path)) as file:
            file.seek(128)
            marked = file.read(4) == b"DICM"
    except SourceError as error:
        raise UsageError(error.subject, error.problem, error.remedy, fault=error.fault) from error
    if not marked:
        return read_patient_file(path), ()
    values, notes = _checked(read_study(path))
    return {key: text for key, text in values.items() if key not in ITSELF}, notes


def _checked(study: Study) -> tuple[dict[str, str], tuple[str, ...]]:
    """Keep the values that their elements may have; name the elements that are left empty."""
    known = {key: text for key, text in study.values.items() if key in (*PATIENT, *STUDY, *ITSELF)}
    wrong = {key for key, text in known.items() if complaint(key, text)}
    values = {key: text for key, text in known.items() if text and key not in wrong}
    left_out = sorted(wrong | set(study.unreadable))
    note = f"left empty, the source has no valid value: {', '.join(left_out)}"
    return values, (note,) if left_out else ()


def _source_image(values: Mapping[str, str], manifest: Manifest) -> SourceImage | None:
    keys = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    if not all(key in values for key in keys):
        return None
    frames = values.get("NumberOfFrames", "1")
    whole = not any(line.startswith("[D08]") for line in manifest.problems)
    return SourceImage(
        sop_class=values["SOPClassUID"],
        sop_instance=values["SOPInstanceUID"],
        series=values["SeriesInstanceUID"],
        frames=int(frames) if frames.isdecimal() else 1,
        numbered=whole,
    )


def _lossy(manifest: Manifest, values: Mapping[str, str], study: Study | None) -> dict[str, str]:
    """Say whether the pictures ever lost detail by compression, as far as that is known.

    References
    ----------
    DICOM PS3.3 section C.7.6.1.1.5: once lossy, always lossy.
    """
    info = manifest.input.info
    if info.kind == "phantom":
        return {"LossyImageCompression": "00"}
    if info.kind == "video":
        lossy = info.detail.split(" ")[0] in _LOSSY_CODECS
        return {"LossyImageCompression": "01"} if lossy else {}
    found = {key: values[key] for key in ITSELF if key.startswith("Lossy") and key in values}
    method = _LOSSY_METHODS.get(study.syntax) if study else None
    if method:
        return {"LossyImageCompressionMethod": method} | found | {"LossyImageCompression": "01"}
    return found
