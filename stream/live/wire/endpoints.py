"""Which endpoints are allowed: sockets in a folder of ours, and TCP with keys."""

from __future__ import annotations

import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError, WireError
from stream.live.wire.keys import Keys

IPC, TCP = "ipc://", "tcp://"
IPC_PATH_BYTES = 107
"""unix(7): a path of 108 bytes with its final zero."""
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Link:
    """How a socket reaches others.

    Parameters
    ----------
    endpoint : ``ipc:///path`` in a folder of ours, or ``tcp://host:port``
    keys : CURVE keys; needed by TCP and used by TCP alone
    newest : keep only the newest message at this end of the connection
    queue : otherwise the most messages kept for a peer
    linger_ms : how long messages on their way are still sent after a socket closes
    """

    endpoint: str
    keys: Keys | None = None
    newest: bool = False
    queue: int = 256
    linger_ms: int = 0


def check_endpoint(endpoint: str, *, keys: bool) -> None:
    """Refuse an endpoint that others could read or write.

    Parameters
    ----------
    endpoint : ``ipc:///absolute/path`` or ``tcp://host:port``
    keys : CURVE keys are there

    Raises
    ------
    UsageError
        If it is neither, lies in a folder that is not ours alone, or is TCP without keys (Z08).
    """
    if endpoint.startswith(IPC):
        _check_path(endpoint, endpoint.removeprefix(IPC))
    elif not endpoint.startswith(TCP):
        raise UsageError(endpoint, "no endpoint", "write ipc:///path or tcp://host:port")
    elif not keys:
        raise UsageError(
            endpoint, "TCP without keys", "make keys with `stream keys FOLDER`", fault="Z08"
        )


def is_tcp(endpoint: str) -> bool:
    """Tell whether an endpoint leaves this machine's file system."""
    return endpoint.startswith(TCP)


def count_up(endpoint: str, count: int) -> list[str]:
    """Return an endpoint for each of several streams: at this port and those that follow it.

    Raises
    ------
    UsageError
        If there is more than one stream and no such ports.
    """
    if count == 1:
        return [endpoint]
    host, _, port = endpoint.rpartition(":")
    if not is_tcp(endpoint) or not port.isdecimal() or not 0 < int(port) <= 65536 - count:
        problem = f"no port from which {count} streams can be counted up"
        raise UsageError(endpoint, problem, "write tcp://host:port")
    return [f"{host}:{int(port) + place}" for place in range(count)]


def claim(endpoint: str) -> int | None:
    """Take an endpoint to publish or collect at for this process alone.

    ZeroMQ takes a local endpoint from whoever has it without a word; TCP is guarded by the system.

    Returns
    -------
    A descriptor that holds the claim until it is closed or the process ends; None for TCP.

    Raises
    ------
    WireError
        If another process holds it (F25), which is named.
    """
    if is_tcp(endpoint):
        return None
    path = f"{endpoint.removeprefix(IPC)}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(fd, 32).decode().strip() or "unknown"
        os.close(fd)
        problem = f"process {holder} has it already"
        raise WireError(endpoint, problem, "end it first", fault="F25") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _check_path(endpoint: str, path: str) -> None:
    size = len(os.fsencode(path))
    if size > IPC_PATH_BYTES:
        raise UsageError(
            endpoint,
            f"path of {size} bytes: a socket takes at most {IPC_PATH_BYTES}",
            "choose a shorter folder",
        )
    if not Path(path).is_absolute():
        raise UsageError(endpoint, "no absolute path", "write ipc:///path")
    try:
        found = Path(path).parent.lstat()
    except OSError as error:
        raise UsageError(endpoint, f"its folder: {error.strerror}") from error
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or mode != PRIVATE:
        raise UsageError(
            endpoint,
            f"its folder has mode {mode:o} and owner {found.st_uid}",
            f"use a folder of user {os.geteuid()} with mode {PRIVATE:o}",
        )
