"""`stream report`: what may leave of a session, in the formats asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cyclopts import Parameter

from stream import console
from stream.errors import StorageError, UsageError
from stream.exports import (
    EXPORTS,
    Export,
    Exports,
    encode_exports,
    protect_content,
    read_burned_in,
    read_exports,
)
from stream.recording import PARTIAL
from stream.replay import REPORT
from stream.report.content import ReportContent
from stream.report.files import cannot_write, make_folder, write_whole
from stream.report.write import DEFAULT, PDF, Encoded, Format, encode_report, format_of, write_files
from stream.session.content import is_working_copy
from stream.session.manifest import (
    JOURNAL,
    Manifest,
    file_digests,
    read_manifest,
    write_manifest,
)
from stream.session.unsealed import settle_unsealed

if TYPE_CHECKING:
    from stream.report.dicom import Origin


@Parameter(name="*", negative=())
@dataclass(frozen=True, slots=True)
class FormatFlags:
    """Which files are written: html, png and csv where none is named.

    Parameters
    ----------
    html
        A page that works without a network.
    pdf
        A summary, a page for each key frame, method and provenance.
    png
        For each key frame a panel of 600 DPI, the plain frame and its saliency.
    dicom
        Panels, key objects, structured report and PDF as DICOM; needs the extra `dicom`.
    csv
        Tables for programs: predictions.csv and report.json.
    """

    html: bool = False
    pdf: bool = False
    png: bool = False
    dicom: bool = False
    csv: bool = False

    def files(self) -> frozenset[Format]:
        """Return the formats whose files are wanted, DICOM aside."""
        asked: dict[Format, bool] = {
            "csv": self.csv,
            "png": self.png,
            "pdf": self.pdf,
            "html": self.html,
        }
        named = frozenset(name for name, wanted in asked.items() if wanted)
        return named if named or self.dicom else DEFAULT

    def encoded(self) -> frozenset[Format]:
        """Return the formats that must be made; DICOM holds the PDF."""
        return self.files() | ({"pdf"} if self.dicom else set())

    def pictures(self) -> bool:
        """Tell whether pictures go out."""
        return self.dicom or self.files() != {"csv"}


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class PrivacyFlags:
    """What may be seen.

    Parameters
    ----------
    mask
        Blacken what lies outside the ultrasound sector.
    deidentify
        Replace the clip's name, and de-identify DICOM objects by the basic profile of PS3.15.
    accept_text
        "WHO: WHY", to let out pictures with text, or pictures that cannot be masked.
    """

    mask: bool = True
    deidentify: bool = False
    accept_text: str = ""


DEFAULT_FORMATS, DEFAULT_PRIVACY = FormatFlags(), PrivacyFlags()
_PLACES: dict[Format, str] = {
    "html": "report",
    "pdf": "pdf",
    "png": "pictures",
    "csv": "tables",
}


def report(
    session: Path,
    /,
    *,
    formats: FormatFlags = DEFAULT_FORMATS,
    privacy: PrivacyFlags = DEFAULT_PRIVACY,
    patient: Path | None = None,
) -> int:
    """Write the report of a session from its journal, without running a model.

    Parameters
    ----------
    session
        Session folder of a replay or a live session.
    patient
        DICOM, JSON or TOML file with patient and study for `--dicom`, where the source has none.
    """
    manifest = settle_unsealed(session, read_manifest(session))
    _require_untouched(session, manifest)
    asked = Export(
        mask=privacy.mask,
        accept_text=privacy.accept_text,
        deidentify=privacy.deidentify,
        burned_in="" if privacy.mask else read_burned_in(manifest),
        pictures=formats.pictures(),
    )
    origin = _origin(manifest, patient, formats)
    if origin and _shows_nobody(asked):
        origin = replace(origin, burned_in="NO")
    exports = read_exports(session)
    content = protect_content(session, manifest, asked)
    files = tuple(encode_report(content, formats.encoded()))
    written = _write_dicom(content, session, files, origin, asked.deidentify) if origin else ()
    exports |= dict.fromkeys(formats.files(), asked)
    if formats.dicom:
        exports["dicom"] = asked
    kept = [file for file in files if file.format in formats.files()]
    folder = make_folder(session / REPORT)
    record = write_whole(folder / EXPORTS, encode_exports(exports))
    written = (*written, record, *write_files(kept, folder))
    left = _working_copies(folder, manifest, exports) if is_working_copy(manifest) else set()
    stays = {name: digest for name, digest in manifest.files.items() if name not in left}
    _seal(session, msgspec.structs.replace(manifest, files=stays), written)
    _remove(session, left)
    _warn_of_others(exports, asked)
    _show(session, kept, origin, content)
    return 0 if manifest.complete and not manifest.partial else PARTIAL


def _origin(manifest: Manifest, patient: Path | None, formats: FormatFlags) -> Origin | None:
    """Return what DICOM objects need to know, or None where none are asked for."""
    if formats.dicom:
        from stream.report.dicom import read_origin

        return read_origin(manifest, patient)
    if patient is not None:
        raise UsageError("--patient", "given without --dicom", "add --dicom or leave it out")
    return None


def _shows_nobody(asked: Export) -> bool:
    """Tell whether what is drawn in panels and PDF cannot say who it is, the clip's name included.

    References
    ----------
    DICOM PS3.3 sections C.7.6.1 and C.24.2: Burned In Annotation is YES where what is drawn or
    written in the object is enough to identify the patient.
    """
    clean = asked.mask or asked.burned_in == "NO"
    return clean and asked.deidentify and not asked.accept_text


def _require_untouched(session: Path, manifest: Manifest) -> None:
    """Refuse to report on a journal that was changed since it was sealed.

    Raises
    ------
    StorageError
        If its digest is not the one in the manifest.
    """
    sealed = manifest.files.get(JOURNAL)
    if sealed and _digest(session / JOURNAL) != sealed:
        raise StorageError(
            str(session / JOURNAL), "changed since it was sealed", "analyse the source again"
        )


def _write_dicom(
    content: ReportContent,
    session: Path,
    files: Sequence[Encoded],
    origin: Origin,
    deidentify: bool,
) -> tuple[Path, ...]:
    from stream.report.dicom import draw_panels, write_dicom

    pdf = next(file.data for file in files if file.name == PDF)
    folder = make_folder(session / REPORT)
    return write_dicom(content, folder, origin, pdf, draw_panels(content), deidentify)


def _working_copies(folder: Path, manifest: Manifest, exports: Exports) -> set[str]:
    """Return what the session wrote by itself in formats that nobody has exported."""
    names = {f"{REPORT}/{path.name}" for path in folder.iterdir()} | set(manifest.files)
    places = [Path(name) for name in names if Path(name).parent == Path(REPORT)]
    formats = {place.as_posix(): format_of(place.name) for place in places}
    return {name for name, kind in formats.items() if kind and kind not in exports}


def _remove(session: Path, names: set[str]) -> None:
    """Take files away, whose digests are gone already: what stays may be handed on."""
    for name in sorted(names):
        try:
            (session / name).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(session / name, error) from error


def _warn_of_others(exports: Exports, asked: Export) -> None:
    """Name the formats that an earlier export left under another protection."""
    others = sorted(name for name, export in exports.items() if not export.same_protection(asked))
    if others:
        console.warn(f"report: made earlier under another protection: {', '.join(others)}")


def _seal(session: Path, manifest: Manifest, written: Sequence[Path]) -> None:
    """Note down the digests of what was written; what was sealed before keeps its own.

    So a file that somebody changed meanwhile still does not stand. A session that was never
    sealed is sealed whole. DICOM objects replace all earlier ones.
    """
    if not manifest.files:
        files = file_digests(session)
    else:
        new = {path.relative_to(session).as_posix(): _digest(path) for path in written}
        gone = f"{REPORT}/dicom/" if any("/dicom/" in name for name in new) else None
        old = {
            name: digest
            for name, digest in manifest.files.items()
            if gone is None or not name.startswith(gone)
        }
        files = dict(sorted({**old, **new}.items()))
    write_manifest(session, msgspec.structs.replace(manifest, files=files))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise StorageError(str(path), f"cannot be read: {error.strerror}") from error


def _show(
    session: Path, files: Sequence[Encoded], origin: Origin | None, content: ReportContent
) -> None:
    """Say where everything is and what was hidden."""
    for name, words in _PLACES.items():
        found = [file for file in files if file.format == name]
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            console.say(f"{words}: {session / REPORT / found[0].name}{more}")
    if origin is not None:
        console.say(f"dicom: {session / REPORT / 'dicom'}")
        for note in origin.notes:
            console.warn(f"dicom: {note}")
    console.say(f"privacy: {content.provenance['Privacy']}")
