"""Addresses of live sources: which kind they are, and how they may be shown to people."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from stream.errors import UsageError
from stream.sources.regular import shown_name

LiveKind = Literal["paced", "device", "network", "igtl"]

NETWORK_SCHEMES = ("rtsp", "rtsps", "tcp", "udp", "http", "https")
ACCEPTED = (
    "give a file or folder, phantom:ORGAN, device:N or /dev/videoN, "
    "rtsp(s)://, http(s)://, tcp:// or udp://HOST:PORT, or igtl://HOST:PORT?device=NAME"
)

_DEVICE = re.compile(r"(?:device:|/dev/video)(\d{1,3})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "igtl": 18944}
_MAX_SHOWN = 200


class Endpoint(NamedTuple):
    """Where an address points to; `device` is of OpenIGTLink and empty for any."""

    scheme: str
    host: str
    port: int
    device: str


def kind_of(address: str) -> LiveKind:
    """Tell the kind of source.

    Raises
    ------
    UsageError
        If the address is none of those accepted, which are listed.
    """
    if address.startswith("phantom:"):
        return "paced"
    if _DEVICE.fullmatch(address):
        return "device"
    if found := _SCHEME.fullmatch(address):
        scheme = found[1].lower()
        if scheme == "igtl" or scheme in NETWORK_SCHEMES:
            return "igtl" if scheme == "igtl" else "network"
    elif _exists(address):
        return "paced"
    raise UsageError(shown_address(address), "is no source that is known or present", ACCEPTED)


def device_number(address: str) -> int:
    """Return N of ``device:N`` or ``/dev/videoN``."""
    found = _DEVICE.fullmatch(address)
    assert found, "kind_of has found a device"
    return int(found[1])


def endpoint_of(address: str) -> Endpoint:
    """Take a network address apart.

    Raises
    ------
    UsageError
        If host or port are missing or senseless.
    """
    shown = shown_address(address)
    if not address.isprintable() or " " in address:
        raise UsageError(shown, "holds blanks or control characters", "write them as %20")
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise UsageError(shown, "host or port cannot be read", ACCEPTED) from None
    port = port or _DEFAULT_PORTS.get(parts.scheme, 0)
    if not port or not (host or parts.scheme == "udp"):
        raise UsageError(shown, "host or port is missing", ACCEPTED)
    device = parse_qs(parts.query).get("device", [""])[0] if parts.scheme == "igtl" else ""
    return Endpoint(parts.scheme, host, port, device)


def shown_address(address: str) -> str:
    """Return the address fit for people and logs: no user, no password, no query.

    Parts of a path that set something, such as ``user=admin``, go too. What stands before an
    ``@`` in a wrong place is never shown, even if that costs a part of the name.
    """
    found = _SCHEME.fullmatch(address)
    if not found:
        return address if address.startswith(("phantom:", "device:")) else shown_name(address)
    place = re.split("[?#]", found[2].rpartition("@")[2])[0]
    parts = ["..." if "=" in part else part for part in place.split("/")]
    text = f"{found[1].lower()}://{'/'.join(parts)}"
    return "".join(char if char.isprintable() else "?" for char in text)[:_MAX_SHOWN]


def _exists(path: str) -> bool:
    try:
        return bool(path) and os.path.lexists(Path(path))
    except ValueError:  # a zero byte
        return False
