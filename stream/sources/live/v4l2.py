"""Capture devices of Linux with their formats and rates, asked of the kernel itself.

References
----------
Linux Media Infrastructure userspace API, Video for Linux API: ioctl VIDIOC_QUERYCAP,
VIDIOC_ENUM_FMT, VIDIOC_ENUM_FRAMESIZES, VIDIOC_ENUM_FRAMEINTERVALS; linux/videodev2.h.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYSTEM_NAMES = Path("/sys/class/video4linux")

QUERYCAP, ENUM_FMT = 0x80685600, 0xC0405602
ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = 0xC02C564A, 0xC034564B
_CAPABILITY = "=16s32s32s3I12x"
_FORMAT = "=3I32s2I12x"
_SIZE = "=3I6I8x"
_INTERVAL = "=5I6I8x"
_CAPTURES, _STREAMS, _SAYS_PER_NODE = 0x1, 0x04000000, 0x80000000
_CAPTURE_BUFFER = 1
_DISCRETE = 1
_MOST = 64  # of formats, sizes or rates: a driver that never ends is not believed

Ioctl = Callable[[int, int, bytearray], object]


@dataclass(frozen=True, slots=True)
class Mode:
    """One format and size of a device.

    Parameters
    ----------
    pixel_format : four letters
    description : in the driver's words
    size_wh : in pixels
    rates_hz : highest first; empty when the driver does not say
    """

    pixel_format: str
    description: str
    size_wh: tuple[int, int]
    rates_hz: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """One capture device.

    Parameters
    ----------
    address : as `stream live` takes it
    node : its file
    name, driver : in the driver's words
    modes : what it gives
    problem : why it could not be asked, or empty
    """

    address: str
    node: str
    name: str
    driver: str
    modes: tuple[Mode, ...]
    problem: str = ""


def list_devices(
    names: Path = SYSTEM_NAMES, nodes: Path = Path("/dev"), ioctl: Ioctl = fcntl.ioctl
) -> tuple[Device, ...]:
    """Return the devices of this machine that give pictures.

    Parameters
    ----------
    names : where the system names them
    nodes : where their files are
    ioctl : asks the driver; fills the buffer it is given
    """
    found = []
    numbers = [path.name.removeprefix("video") for path in names.glob("video*")]
    for number in sorted((n for n in numbers if n.isdecimal()), key=int):
        title = (names / f"video{number}" / "name").read_text(errors="replace").strip()
        device = _ask(int(number), nodes / f"video{number}", title, ioctl)
        if device is not None:
            found.append(device)
    return tuple(found)


def _ask(number: int, node: Path, name: str, ioctl: Ioctl) -> Device | None:
    """Return the device, or None for a node that gives no pictures, such as one of metadata."""
    address = f"device:{number}"
    try:
        fd = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return Device(address, str(node), name, "", (), error.strerror or "cannot be opened")
    try:
        driver, captures = _capability(fd, ioctl)
        modes = tuple(_modes(fd, ioctl)) if captures else ()
    except OSError as error:
        return Device(address, str(node), name, "", (), f"does not answer ({error.strerror})")
    finally:
        os.close(fd)
    return Device(address, str(node), name, driver, modes) if captures else None


def _capability(fd: int, ioctl: Ioctl) -> tuple[str, bool]:
    answer = bytearray(struct.calcsize(_CAPABILITY))
    ioctl(fd, QUERYCAP, answer)
    driver, _, _, _, of_all, of_node = struct.unpack(_CAPABILITY, answer)
    flags = of_node if of_all & _SAYS_PER_NODE else of_all
    return _text(driver), bool(flags & _CAPTURES and flags & _STREAMS)


def _modes(fd: int, ioctl: Ioctl) -> Iterator[Mode]:
    for asked in _enumerate(fd, ioctl, ENUM_FMT, _FORMAT, (_CAPTURE_BUFFER, 0, b"", 0, 0)):
        description, code = _text(asked[3]), asked[4]
        letters = code.to_bytes(4, "little").decode("ascii", "replace").strip()
        for size_wh in _sizes(fd, ioctl, code):
            yield Mode(letters, description, size_wh, _rates(fd, ioctl, code, size_wh))


def _sizes(fd: int, ioctl: Ioctl, code: int) -> Iterator[tuple[int, int]]:
    """Yield sizes; of a range its smallest and its largest."""
    for asked in _enumerate(fd, ioctl, ENUM_FRAMESIZES, _SIZE, (code, *[0] * 7)):
        if asked[2] == _DISCRETE:
            yield asked[3], asked[4]
        else:  # least, most and step of the width, then of the height
            yield from ((asked[3], asked[6]), (asked[4], asked[7]))
            return


def _rates(fd: int, ioctl: Ioctl, code: int, size_wh: tuple[int, int]) -> tuple[float, ...]:
    """Return rates, the highest first; of a range its ends."""
    rates: set[float] = set()
    for asked in _enumerate(fd, ioctl, ENUM_FRAMEINTERVALS, _INTERVAL, (code, *size_wh, *[0] * 7)):
        ends = (asked[5:7],) if asked[4] == _DISCRETE else (asked[5:7], asked[7:9])
        rates |= {round(below / above, 3) for above, below in ends if above}
        if asked[4] != _DISCRETE:
            break
    return tuple(sorted(rates, reverse=True))


def _enumerate(
    fd: int, ioctl: Ioctl, request: int, layout: str, question: tuple[int | bytes, ...]
) -> Iterator[tuple[Any, ...]]:
    """Ask for entry 0, 1, 2 and so on until the driver has no more."""
    for index in range(_MOST):
        answer = bytearray(struct.pack(layout, index, *question))
        try:
            ioctl(fd, request, answer)
        except OSError:
            return
        yield struct.unpack(layout, answer)


def _text(raw: bytes) -> str:
    text = raw.split(b"\0")[0].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)
