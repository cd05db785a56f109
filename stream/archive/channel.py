"""Messages between the archive and its workers: four bytes of length, then msgpack."""

from __future__ import annotations

import socket
from typing import TypeVar

import msgspec

MAX_BYTES = 64 << 20
T = TypeVar("T")


def send(channel: socket.socket, message: msgspec.Struct) -> None:
    """Send one message."""
    data = msgspec.msgpack.encode(message)
    channel.sendall(len(data).to_bytes(4) + data)


def receive(channel: socket.socket, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    """Wait for one message; None when the other end has gone.

    Raises
    ------
    msgspec.MsgspecError
        If it is not what the decoder takes.
    ValueError
        If it is longer than `MAX_BYTES`.
    """
    head = _read(channel, 4)
    if head is None:
        return None
    size = int.from_bytes(head)
    if size > MAX_BYTES:
        raise ValueError(f"message of {size} bytes, at most {MAX_BYTES}")
    data = _read(channel, size)
    return None if data is None else decoder.decode(data)


def _read(channel: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        try:
            part = channel.recv(size - len(data))
        except ConnectionResetError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)
