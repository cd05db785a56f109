"""Which files of a session may be sent: those that its manifest seals, unchanged."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from stream.errors import SourceError, StorageError, UsageError
from stream.session.manifest import Manifest
from stream.sources.regular import open_regular

FOLDER = "report/dicom"
_MAX_BYTES = 1 << 30
_UID_CHARS = frozenset("0123456789.")


@dataclass(frozen=True, slots=True)
class Instance:
    """A DICOM object of a session, on disk.

    Parameters
    ----------
    name : relative to the session folder
    path, sha256 : of the file, as sealed
    sop_class, sop_instance, syntax : UIDs from its file meta group
    """

    name: str
    path: Path
    sha256: str
    sop_class: str
    sop_instance: str
    syntax: str

    def read(self) -> bytes:
        """Return the bytes of the file.

        Raises
        ------
        StorageError
            If it is gone, or no longer what the manifest seals.
        """
        return _read_sealed(self.path, self.name, self.sha256)


def find_instances(session: Path, manifest: Manifest) -> tuple[Instance, ...]:
    """Return the DICOM objects of a session, every one of them checked.

    Raises
    ------
    UsageError
        If it has none.
    StorageError
        If one was changed or removed, or one lies there that the manifest does not name.
    """
    sealed = {
        name: digest
        for name, digest in sorted(manifest.files.items())
        if name.startswith(f"{FOLDER}/") and name.endswith(".dcm")
    }
    present = {f"{FOLDER}/{path.name}" for path in (session / FOLDER).glob("*.dcm")}
    if strange := sorted(present - sealed.keys()):
        problem = f"not part of the sealed session: {', '.join(strange[:20])}"
        raise StorageError(str(session), problem, "write the report again")
    if not sealed:
        problem, remedy = "no DICOM objects in it", "run `stream report SESSION --dicom` first"
        raise UsageError(str(session), problem, remedy)
    return tuple(_open_instance(session, name, digest) for name, digest in sealed.items())


def _open_instance(session: Path, name: str, digest: str) -> Instance:
    path = session / name
    inside = path.parent.resolve() == (session / FOLDER).resolve() and not path.is_symlink()
    if not inside or not (session / FOLDER).resolve().is_relative_to(session.resolve()):
        raise StorageError(name, "not a file of the session's own report", "do not send it")
    from stream.sources.dicom_layout import read_meta  # needs pydicom, which is an extra

    data = _read_sealed(path, name, digest)
    try:
        meta = read_meta(io.BytesIO(data), name)
    except SourceError as error:
        raise StorageError(name, error.problem, "write the report again") from error
    keys = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    uids = [meta.get(key, b"").decode("ascii", "replace").strip(" \0") for key in keys]
    if not all(0 < len(uid) <= 64 and _UID_CHARS.issuperset(uid) for uid in uids):
        raise StorageError(name, "its file meta group has no valid UIDs", "write the report again")
    return Instance(name, path, digest, *uids)


def _read_sealed(path: Path, name: str, digest: str) -> bytes:
    try:
        with open_regular(str(path)) as file:
            data = file.read(_MAX_BYTES)
    except (SourceError, OSError) as error:
        raise StorageError(name, "cannot be read", "write the report again") from error
    if hashlib.sha256(data).hexdigest() != digest:
        problem = "is not what the session was sealed with"
        raise StorageError(name, problem, "write the report again")
    return data
