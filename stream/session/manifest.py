"""What was analysed, by what, with which result: the seal on a session folder."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec

from engines.choose import Standing
from engines.options import Precision
from engines.spec import ModelSpec
from stream import __version__
from stream.analysis.verdict import Verdict
from stream.config import AnalysisConfig
from stream.errors import StorageError
from stream.session.ledger import NAMES
from stream.sources.base import SourceInfo

MANIFEST = "manifest.json"
JOURNAL = "journal.sqlite"
SCHEMA = 2
LIBRARIES = ("numpy", "opencv-python", "av", "openvino", "onnxruntime", "pydicom", "reportlab")


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was analysed; `uri` is an absolute path or a phantom address."""

    uri: str
    stream_index: int | None
    info: SourceInfo


class EngineUsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which engine answered.

    Parameters
    ----------
    name, precision : as given to `engines.choose`
    runtime : with version and device, for people
    standing : accepted by the gate, the default FP32 engine, or forced by the user
    reason : why this one, in words
    model_digest : sha256 of the ONNX file that it was compiled from
    missed : limits of the gate that it did not keep, one line each
    """

    name: str
    runtime: str
    precision: Precision
    standing: Standing
    reason: str
    model_digest: str
    missed: tuple[str, ...]


class ModelUsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which model was given and which engine answered for it.

    Parameters
    ----------
    path, digest : of the file that was given
    spec : of the model that the engine was compiled from, its gate left out
    engine : see there
    """

    path: str
    digest: str
    spec: ModelSpec
    engine: EngineUsed


class LiveUsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a live session has that a replay has not.

    Parameters
    ----------
    started_ns : clock of that machine at the start; the time of a frame counts from here
    freshness_ms : how old a result could be on the screen
    masked : what lay outside the sector was cut away from every frame
    repeatable : the source gives the same pictures again
    """

    started_ns: int
    freshness_ms: int
    masked: bool
    repeatable: bool


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything needed to run a session again and to tell whether it was changed.

    Parameters
    ----------
    created : wall time in UTC, for people only
    complete : False when the session was interrupted
    problems : of the input, one line each; `partial` when frames are missing or damaged
    explain : how key frames were explained besides their class map, if at all
    files : sha256 by path relative to the session folder
    live : of a live session; None for a replay
    """

    schema: int = SCHEMA
    created: str
    complete: bool
    partial: bool
    problems: tuple[str, ...]
    input: Input
    model: ModelUsed
    config: AnalysisConfig
    explain: Literal["ig"] | None
    verdict: Verdict
    ledger: dict[str, int]
    versions: dict[str, str]
    files: dict[str, str]
    live: LiveUsed | None = None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, complete or not at all.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    temporary = folder / f".{MANIFEST}.tmp"
    try:
        temporary.write_bytes(data + b"\n")
        temporary.replace(folder / MANIFEST)
    except OSError as error:
        raise StorageError(str(folder), f"cannot be written: {error.strerror}") from error


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a session folder.

    Raises
    ------
    StorageError
        If it is absent or damaged.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        if set(manifest.ledger) != set(NAMES):
            raise ValueError(f"ledger has {sorted(manifest.ledger)}, expected {sorted(NAMES)}")
    except OSError as error:
        raise StorageError(str(folder), "not a session folder: no manifest.json") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise StorageError(str(folder / MANIFEST), f"damaged: {error}") from error
    return manifest


def file_digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below `folder` but the manifest, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@cache
def versions() -> dict[str, str]:
    """Return the versions of our code, Python and the libraries that results depend on."""
    found = {"sonostream": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def utc_now() -> str:
    """Return the wall time for people, such as ``2030-01-31T12:00:00Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
