"""A live session from its folder to its seal: lock, endpoints, ring, roles, report."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.errors import StorageError
from stream.hold import LOCK, held
from stream.live.supervisor.config import Endpoints
from stream.live.wire.ring import FrameRing

PREFIX = "sonostream-live-"
SLOTS = 8
MAX_PICTURE_BYTES = 4096 * 4096 * 3


def new_session_name() -> str:
    """Return a name that no other session has."""
    return secrets.token_hex(8)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a session folder for this process alone.

    Raises
    ------
    StorageError
        F25 if another process holds it, which is named; or if it cannot be written.
    """
    with held(folder, "runs a session here"):
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)


@contextmanager
def rendezvous(root: Path | None = None) -> Iterator[Endpoints]:
    """Make a folder of our own for the sockets; take it away at the end.

    The folders of sessions that were killed are swept first: their locks are free (F32). It is
    not the session folder, for the path of a socket is short.
    """
    place = root or Path(tempfile.gettempdir())
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))  # made with mode 0700
    try:
        with locked(folder):
            ends = {name: f"ipc://{folder / name}" for name in Endpoints.__struct_fields__}
            yield Endpoints(**ends)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def shared_ring() -> Iterator[FrameRing]:
    """Make the shared memory for full frames.

    Raises
    ------
    StorageError
        F34 if a limit forbids it.
    """
    with FrameRing.create(MAX_PICTURE_BYTES, SLOTS) as ring:
        yield ring


def _sweep(root: Path) -> None:
    for folder in root.glob(f"{PREFIX}*"):
        try:
            ours = folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()
            if not ours or not (folder / LOCK).exists():  # without a lock: just being made
                continue
            with locked(folder):
                pass
        except (OSError, StorageError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
