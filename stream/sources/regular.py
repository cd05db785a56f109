"""Opening files that nobody vouches for: regular files only, named on one line."""

from __future__ import annotations

import hashlib
import io
import stat
from pathlib import Path

from stream.errors import SourceError


def open_regular(path: str) -> io.BufferedReader:
    """Open a regular file for reading, and nothing else.

    Parameters
    ----------
    path : file to open; links are followed

    Raises
    ------
    SourceError
        V21 for a folder, pipe, device, socket, broken or looping link, or unreadable file.
    """
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISREG(mode):
            return Path(path).open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _not_regular(path, f"cannot be opened ({reason})") from error
    raise _not_regular(path, f"is {_kind(mode)}, not a regular file")


def digest_file(file: io.BufferedReader) -> str:
    """Return the sha256 of a whole open file in hexadecimal."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def shown_name(path: str) -> str:
    """Return the name without its folder, fit for one line of text.

    Control characters and bytes that are not text become "?"; other letters stay.
    """
    name = Path(path).name or path
    return "".join(char if char.isprintable() else "?" for char in name)


def _not_regular(path: str, problem: str) -> SourceError:
    return SourceError(shown_name(path), problem, "give a regular readable file", fault="V21")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
