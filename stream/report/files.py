"""Files that appear under their name only when they are complete (F37)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from stream.errors import StorageError


def write_whole(path: Path, data: bytes) -> Path:
    """Write `data` beside `path`, sync it, then rename it to `path`.

    Returns
    -------
    `path`

    Raises
    ------
    StorageError
        If the folder cannot be written; no file is then left under either name.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return path


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk too, not only what it stands for."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> Path:
    """Create `folder` and its parents unless they exist.

    Raises
    ------
    StorageError
        If it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def cannot_write(path: Path, error: OSError) -> StorageError:
    """Return the error that names the path and the system's reason."""
    why = error.strerror or type(error).__name__
    return StorageError(
        str(path), f"cannot be written ({why})", "free space or choose another folder", fault="F37"
    )
