"""Which formats of a report were asked for, and under which protection; how they are made again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from stream.errors import SourceError, StorageError
from stream.replay import REPORT
from stream.report.content import ReportContent
from stream.report.write import FORMATS, Format, encode_report
from stream.session.content import read_content, was_masked
from stream.session.manifest import Manifest
from stream.sources.dicom_study import read_study

if TYPE_CHECKING:
    from stream.report.privacy import ExportPolicy

EXPORTS = "exports.json"


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was asked of an export; the names are those of `ExportPolicy`."""

    mask: bool = True
    accept_text: str = ""
    deidentify: bool = False
    burned_in: Literal["YES", "NO", ""] = ""
    pictures: bool = True

    def same_protection(self, other: Export) -> bool:
        """Tell whether two exports differ at most in whether pictures went out."""
        return self == msgspec.structs.replace(other, pictures=self.pictures)

    def policy(self, session: Path, manifest: Manifest) -> ExportPolicy:
        """Return the policy for a session, which tells the rest."""
        from stream.report.privacy import ExportPolicy

        return ExportPolicy(
            **msgspec.structs.asdict(self),
            synthetic=manifest.input.uri.startswith("phantom:"),
            masked_before=was_masked(session, manifest),
        )


Exports = dict[Literal[Format, "dicom"], Export]


def read_exports(session: Path) -> Exports:
    """Return what was asked of each format that `stream report` wrote last; empty before that.

    Raises
    ------
    StorageError
        If the record is damaged.
    """
    path = session / REPORT / EXPORTS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Exports)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(str(path), f"damaged: {error}", "write the report again") from error


def encode_exports(exports: Exports) -> bytes:
    """Return the record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(exports, order="sorted"), indent=2) + b"\n"


def read_burned_in(manifest: Manifest) -> Literal["YES", "NO", ""]:
    """Return Burned In Annotation (0028,0301) of a session's source; empty where it is not had.

    References
    ----------
    DICOM PS3.3 section C.7.6.1: YES or NO; where it is absent, nobody has said.
    """
    info = manifest.input.info
    if info.kind != "dicom" or find_spec("pydicom") is None:
        return ""
    try:
        study = read_study(Path(manifest.input.uri))
    except SourceError:
        return ""
    said = study.values.get("BurnedInAnnotation") if study.sha256 == info.sha256 else None
    return "NO" if said == "NO" else "YES" if said == "YES" else ""


def protect_content(session: Path, manifest: Manifest, export: Export) -> ReportContent:
    """Return what may leave of a session's report.

    Raises
    ------
    ExportRefused
        If it might show who the patient is.
    StorageError
        If the journal cannot be read.
    """
    from stream.report.privacy import protect

    return protect(read_content(session, manifest), export.policy(session, manifest))


def digest_again(session: Path, manifest: Manifest, exports: Exports) -> Mapping[str, str]:
    """Make every exported file again, and return its sha256 by path in the session folder.

    DICOM is not made again: its objects name a patient, whom the session does not know.

    Raises
    ------
    ExportRefused, StorageError
        As `protect_content`.
    """
    digests: dict[str, str] = {}
    for export in dict.fromkeys(exports.values()):
        formats = frozenset(name for name in FORMATS if exports.get(name) == export)
        if not formats:
            continue
        digests |= digest_report(protect_content(session, manifest, export), formats)
    return digests


def digest_report(content: ReportContent, formats: Set[Format]) -> dict[str, str]:
    """Return the sha256 of every file of a report by its path in the session folder."""
    return {
        f"{REPORT}/{file.name}": hashlib.sha256(file.data).hexdigest()
        for file in encode_report(content, formats)
    }
