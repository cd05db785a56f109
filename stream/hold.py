"""One folder, one process: a lock that lives as long as anybody works there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.errors import StorageError

LOCK = ".lock"


@contextmanager
def held(folder: Path, doing: str) -> Iterator[int]:
    """Hold a folder for this process; yield the descriptor of the lock.

    A worker that is given the descriptor holds on with it, so that the folder is free only when
    the last one has gone. The file stays: one that was taken away could be locked twice.

    Parameters
    ----------
    doing : what a holder does, for the words of the error

    Raises
    ------
    StorageError
        F25 if another process holds it, which is named; or if it cannot be written.
    """
    try:
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise StorageError(str(folder), f"cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(32).strip() or "unknown"
            problem = f"process {holder} {doing}"
            raise StorageError(str(folder), problem, "end it first", fault="F25") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
