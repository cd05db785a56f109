"""A sandbox child that breaks the protocol, in a way chosen by the name of the input."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import msgspec

from stream.sources import sandbox_wire as wire
from stream.sources.base import SourceInfo


def lie(control: socket.socket) -> None:
    """Break the protocol in one of several ways."""

    def say(message: wire.FromChild) -> None:
        control.send(msgspec.msgpack.encode(message))

    request = msgspec.msgpack.decode(control.recv(1 << 17), type=wire.Request)
    name = Path(os.fsdecode(request.uri)).name
    size_wh = (1 << 30, 1 << 30) if name == "huge" else (80, 64)
    shapes = {"overflowing": ((1 << 20, 1 << 20),), "negative": ((-64, -80),), "flat": ((64,),)}
    slot = 99 if name == "wild_slot" else 0
    if name == "noise":
        control.send(b"\xc1" * 100)
    if name != "early":
        say(wire.Opened(SourceInfo("video", "fake", size_wh, None, None, "", ""), ()))
    while name == "insatiable":
        say(wire.RingWanted(100))
    for _ in range(3):
        say(wire.Shown(slot, shapes.get(name, ((64, 80),)), False, "bt601", True, None, None))
    time.sleep(5)


if __name__ == "__main__":
    lie(socket.socket(fileno=int(sys.argv[1])))
