"""CURVE keys: who may serve, who may listen; the body of `stream keys`.

A folder of keys holds, each file one line of 64 hexadecimal digits::

    server.secret           where frames or results are published
    server.public           where they are received
    client.secret           where they are received
    clients/NAME.public     where they are published: every key that may connect
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from stream import console
from stream.errors import UsageError

KEY_BYTES = 32
SERVER_SECRET, SERVER_PUBLIC, CLIENT_SECRET = "server.secret", "server.public", "client.secret"
CLIENTS = "clients"
FILES = (SERVER_SECRET, SERVER_PUBLIC, CLIENT_SECRET, f"{CLIENTS}/client.public")
_PRIVATE, _PUBLIC = 0o600, 0o644
_ZAP_VERSION, _MECHANISM = b"1.0", b"CURVE"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one machine, 32 bytes each; None is a file that its folder does not have.

    Parameters
    ----------
    server_secret : to serve
    allowed : public keys of the clients that a server lets in
    server_public, client_secret : to connect
    """

    server_secret: bytes | None = field(default=None, repr=False)
    allowed: frozenset[bytes] = frozenset()
    server_public: bytes | None = None
    client_secret: bytes | None = field(default=None, repr=False)


def make_keys(folder: Path) -> None:
    """Write the keys of a server and of one client; nothing is overwritten.

    Raises
    ------
    UsageError
        If one of the files exists.
    """
    from stream.live.wire.sockets import public_key

    for name in FILES:
        if os.path.lexists(folder / name):
            raise UsageError(str(folder / name), "exists", "give another folder", fault="C08")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / CLIENTS).mkdir(exist_ok=True)
    server, client = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
    found = (server, public_key(server), client, public_key(client))
    for name, key in zip(FILES, found, strict=True):
        _write_key(folder / name, key, _PRIVATE if name.endswith(".secret") else _PUBLIC)


def load_keys(folder: Path) -> Keys:
    """Read the keys that a folder has.

    Raises
    ------
    UsageError
        If there are none, one is no key, or others may read a secret.
    """
    found = {name: _read_key(folder / name) for name in FILES[:3]}
    listed = sorted((folder / CLIENTS).glob("*.public"))
    allowed = frozenset(key for path in listed if (key := _read_key(path)))
    if not any(found.values()):
        raise UsageError(str(folder), "no keys in it", "make keys with `stream keys FOLDER`")
    return Keys(found[SERVER_SECRET], allowed, found[SERVER_PUBLIC], found[CLIENT_SECRET])


def keys(folder: Path, /) -> None:
    """Make the keys that roles on different machines need, without overwriting any.

    Copy `server.public` and `client.secret` to each machine that receives. A machine that
    publishes needs `server.secret` and the folder `clients`; whoever has a key in it may connect.
    To let another machine in with a key of its own, make keys elsewhere and copy their
    `clients/client.public` into this folder under another name.

    Parameters
    ----------
    folder
        Folder to write the key files to; it is made when it does not exist.
    """
    make_keys(folder)
    for name in FILES:
        console.say(str(folder / name))


def answer_zap(request: list[bytes], allowed: frozenset[bytes]) -> list[bytes]:
    """Answer whether a client may connect.

    Parameters
    ----------
    request : version, request id, domain, address, routing id, mechanism, credentials
    allowed : public keys of 32 bytes

    Returns
    -------
    The reply's parts, with status 200 or 400.

    References
    ----------
    ZeroMQ RFC 27/ZAP (2013), section "The ZAP request and reply".
    """
    fits = len(request) == 7 and request[0] == _ZAP_VERSION and request[5] == _MECHANISM
    known = fits and request[6] in allowed
    status, text = (b"200", b"OK") if known else (b"400", b"key refused")
    user = request[6].hex().encode() if known else b""
    return [_ZAP_VERSION, *request[1:2], status, text, user, b""]


def _write_key(path: Path, key: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, mode), "w") as file:
        file.write(key.hex() + "\n")


def _read_key(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            open_to_others = os.fstat(file.fileno()).st_mode & 0o077
            text = file.read(256)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(str(path), error.strerror or "cannot be read") from error
    if path.suffix == ".secret" and open_to_others:
        raise UsageError(str(path), "others may read it", f"chmod 600 {path}")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UsageError(str(path), "no key in it", "expected 64 hexadecimal digits")
    return key
