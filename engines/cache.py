"""The cache of compiled engines: an entry is used only if every byte is the one written.

An entry is a folder named after its key: ``engine.bin``, ``model.onnx`` (what it was compiled
from), ``probe.npz`` and ``sidecar.json``. Digests guard against damage, mix-ups and other users;
whoever can write as this user can also write a consistent entry.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engines.errors import EngineError
from engines.load import Model
from engines.sidecar import EngineKey, Sidecar, decode_sidecar, encode_sidecar

ENGINE, MODEL, PROBE, SIDECAR = "engine.bin", "model.onnx", "probe.npz", "sidecar.json"
FILES = frozenset({ENGINE, MODEL, PROBE, SIDECAR})
REMEDY = "it is not used; compile it again with `stream compile`"


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that this user owns and nobody else can write, or that is yet to be made."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One cached engine: its folder and its verified sidecar."""

    place: Path
    sidecar: Sidecar


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """An entry with the verified bytes of its files, to be used instead of the files.

    Parameters
    ----------
    engine : what `load_engine` of its backend takes
    model : the ONNX file
    probe : npz of `engines.probe.Probe`
    """

    entry: Entry
    engine: bytes
    model: bytes
    probe: bytes


def open_cache(folder: Path | None = None) -> Cache:
    """Open the cache, the user's own when `folder` is None; it is made when first written.

    Raises
    ------
    EngineError
        With fault M06 if the folder is another user's, or others can write it; or if it cannot
        be used as a folder.
    """
    cache = Cache(folder or Path.home() / ".cache" / "sonostream" / "engines")
    with _usable(cache.folder):
        if cache.folder.exists():
            _check_owner(cache.folder)
    return cache


def read_entry(cache: Cache, key: EngineKey) -> Contents | None:
    """Return the entry of a key, verified whole; None when there is none.

    Raises
    ------
    EngineError
        With fault M06 if any byte, file or field is not what was written for this key.
    """
    place = cache.folder / key.name
    if not os.path.lexists(place):
        return None
    data = _read_files(place)
    sidecar = _parse_sidecar(place, data[SIDECAR])
    if sidecar.key != key:
        raise _refusal(place, f"made for another key: {_difference(sidecar.key, key)}")
    for name, digest in (
        (ENGINE, sidecar.engine_digest),
        (MODEL, sidecar.model_digest),
        (PROBE, sidecar.probe_digest),
    ):
        if hashlib.sha256(data[name]).hexdigest() != digest:
            raise _refusal(place, f"{name} was changed or cut")
    if sidecar.model_digest != key.model_digest:
        raise _refusal(place, f"{MODEL} is another model")
    return Contents(Entry(place, sidecar), data[ENGINE], data[MODEL], data[PROBE])


def list_entries(cache: Cache) -> Iterator[Entry | EngineError]:
    """Yield the entries in the order of their names, only their sidecars read.

    An entry whose sidecar is unusable is yielded as the error that says so.

    Raises
    ------
    EngineError
        If the cache cannot be read.
    """
    with _usable(cache.folder):
        places = sorted(cache.folder.iterdir()) if cache.folder.exists() else []
    for place in places:
        if place.name.startswith("."):
            continue
        try:
            yield Entry(place, _read_sidecar(place))
        except EngineError as error:
            yield error


def write_entry(cache: Cache, key: EngineKey, model: Model, engine: bytes, probe: bytes) -> Entry:
    """Store an engine, replacing the entry of the same key; written whole or not at all.

    Raises
    ------
    EngineError
        If it cannot be written.
    """
    sidecar = Sidecar(
        key=key,
        engine_digest=hashlib.sha256(engine).hexdigest(),
        model_digest=model.digest,
        probe_digest=hashlib.sha256(probe).hexdigest(),
        spec=model.spec,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    files = {ENGINE: engine, MODEL: model.data, PROBE: probe, SIDECAR: encode_sidecar(sidecar)}
    place = cache.folder / key.name
    try:
        cache.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(cache.folder)
        with tempfile.TemporaryDirectory(prefix=".", dir=cache.folder) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir(mode=0o700)
            for name, data in files.items():
                (fresh / name).write_bytes(data)
            with _locked(cache.folder):
                if os.path.lexists(place):
                    place.rename(Path(scratch) / "stale")
                fresh.rename(place)
    except OSError as error:
        problem = f"the compiled engine cannot be stored: {error.strerror}"
        raise EngineError(str(cache.folder), problem, "make room, or remove the folder") from error
    return Entry(place, sidecar)


def write_sidecar(entry: Entry, sidecar: Sidecar) -> Entry:
    """Replace the sidecar of an entry at once, provided that it is still the one that was read.

    Raises
    ------
    EngineError
        With fault M06 if the entry was made again or changed meanwhile, or cannot be written.
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".", dir=entry.place.parent) as scratch,
            _locked(entry.place.parent),
        ):
            if _read_sidecar(entry.place) != entry.sidecar:
                raise _refusal(entry.place, "it was made again meanwhile")
            fresh = Path(scratch) / SIDECAR
            fresh.write_bytes(encode_sidecar(sidecar))
            fresh.replace(entry.place / SIDECAR)
    except OSError as error:
        raise _refusal(entry.place, f"{SIDECAR} cannot be written: {error.strerror}") from error
    return Entry(entry.place, sidecar)


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"the cache cannot be used: {error.strerror}"
        raise EngineError(str(folder), problem, "give another folder with --cache") from error


def _check_owner(folder: Path) -> None:
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if status.st_uid != os.geteuid():
        problem = f"belongs to user {status.st_uid}"
        raise EngineError(str(folder), problem, "remove it, or give another folder", fault="M06")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"others can write it (mode {stat.S_IMODE(status.st_mode):o})"
        raise EngineError(str(folder), problem, f"chmod 700 {folder}", fault="M06")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing the cache meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read_files(place: Path) -> dict[str, bytes]:
    try:
        present = {item.name: item.lstat().st_mode for item in place.iterdir()}
        if present.keys() != FILES or not all(map(stat.S_ISREG, present.values())):
            raise _refusal(place, f"holds {sorted(present)}, expected {sorted(FILES)}")
        return {name: (place / name).read_bytes() for name in FILES}
    except OSError as error:
        raise _refusal(place, f"cannot be read: {error.strerror}") from error


def _read_sidecar(place: Path) -> Sidecar:
    try:
        data = (place / SIDECAR).read_bytes()
    except OSError as error:
        raise _refusal(place, f"{SIDECAR} cannot be read: {error.strerror}") from error
    sidecar = _parse_sidecar(place, data)
    if sidecar.key.name != place.name:
        raise _refusal(place, "made for another key")
    return sidecar


def _parse_sidecar(place: Path, data: bytes) -> Sidecar:
    try:
        return decode_sidecar(data)
    except ValueError as error:
        raise _refusal(place, str(error)) from error


def _refusal(place: Path, problem: str) -> EngineError:
    return EngineError(f"cached engine {place.name}", problem, REMEDY, fault="M06")


def _difference(have: EngineKey, want: EngineKey) -> str:
    pairs = ((f, getattr(have, f), getattr(want, f)) for f in EngineKey.__struct_fields__)
    return ", ".join(f"{field} is {a}, expected {b}" for field, a, b in pairs if a != b)
