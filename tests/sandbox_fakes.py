"""A sandbox child with misbehaving readers, chosen by the name of the input."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from engines.pixels import Pixels
from stream.errors import SourceError
from stream.sources.base import Picture, Problem, SourceInfo
from stream.sources.sandbox_child import main
from stream.sources.sandbox_wire import Request

COUNT = 60


def grey(number: int, shape_hw: tuple[int, int] = (64, 80)) -> Picture:
    return Picture(Pixels((np.full(shape_hw, number, np.uint8),)), number * 1_000_000)


def counting() -> Iterator[Picture]:
    yield from map(grey, range(COUNT))


def growing() -> Iterator[Picture]:
    for number in range(COUNT):
        yield grey(number, (64, 80) if number < COUNT // 2 else (640, 480))


def killed() -> Iterator[Picture]:
    yield from map(grey, range(20))
    os.kill(os.getpid(), signal.SIGSEGV)


def broken() -> Iterator[Picture]:
    yield from map(grey, range(20))
    raise KeyError("a defect of ours")


def sleeping() -> Iterator[Picture]:
    yield from map(grey, range(20))
    time.sleep(60)


def greedy() -> Iterator[Picture]:
    yield grey(int(np.ones(1 << 30, np.uint8)[0]))


def calling_home() -> Iterator[Picture]:
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()
    except PermissionError as error:
        raise SourceError("home", "no network") from error
    yield grey(0)


def starting_programs() -> Iterator[Picture]:
    try:
        os.execv("/bin/true", ["true"])
    except PermissionError as error:
        raise SourceError("program", "no programs") from error


def writing() -> Iterator[Picture]:
    try:
        Path("/proc/self/fd/2").write_bytes(bytes(1 << 20))
    except OSError as error:
        raise SourceError("file", "no large files") from error
    yield grey(0)


def ignoring_interrupts() -> Iterator[Picture]:
    for picture in counting():
        os.kill(os.getpid(), signal.SIGINT)
        yield picture


class FakeReader:
    """A reader around one of the generators above."""

    def __init__(self, make: Callable[[], Iterator[Picture]]) -> None:
        self.info = SourceInfo("video", "fake", (80, 64), None, None, "", "")
        self.problems: tuple[Problem, ...] = ()
        self.pictures = make

    def close(self) -> None:
        """Nothing is open."""


def open_reader(request: Request) -> FakeReader:
    name = Path(os.fsdecode(request.uri)).name
    if name == "killed_at_once":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "sleeping_at_once":
        time.sleep(60)
    return FakeReader(globals()[name])


if __name__ == "__main__":
    main(sys.argv[1:], open_reader)
