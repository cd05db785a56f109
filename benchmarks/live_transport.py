"""How full frames travel: after their header in a ZeroMQ message, or in the shared ring.

Both carry the same pictures between the same two processes: time from just before the writer hands
a frame over until its pixels are in the reader's own memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from engines.pixels import Pixels
from stream.clock import MS, now_ns
from stream.live.wire.channels import Publisher, Subscriber
from stream.live.wire.codec import FRAMES, SHARED_FRAMES, Received
from stream.live.wire.endpoints import Link
from stream.live.wire.messages import FrameHeader
from stream.live.wire.payload import layout_of, read_pixels
from stream.live.wire.ring import FrameRing

SIZES_WH = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
SLOTS = 8
WARM_UP = 10
PATIENCE_MS = 10_000
FLOOD, LAST = "flood", "last"
"""The sources of frames sent at once, and of those that say they are the last."""
FLOOD_S, LAST_S = 0.5, 0.02
"""Pauses after the flood, so that its last frame is taken, and between the last frames."""

Transport = Literal["ring", "message"]


@dataclass(frozen=True, slots=True)
class Load:
    """YUV 4:2:0 pictures of a size: so many, at a rate, and then as many more at once."""

    size: str
    frames: int
    rate_hz: float


@dataclass(frozen=True, slots=True)
class Carried:
    """What arrived: ages of the paced frames, and how many a second of those sent at once.

    Those count from the capture of the first that arrived until the last was taken.
    """

    ages_ms: list[float]
    frames_hz: float


def carry(load: Load, transport: Transport) -> Carried:
    """Send a load from another process, warm-up besides, and take the newest frames here."""
    with tempfile.TemporaryDirectory() as folder, _make_ring(load) as ring:
        endpoint = f"ipc://{folder}/frames"
        limits = SHARED_FRAMES if transport == "ring" else FRAMES
        command = [sys.executable, "-m", "benchmarks.live_transport", endpoint, transport]
        command += [load.size, str(load.frames), str(load.rate_hz), str(ring.fd)]
        with Subscriber(Link(endpoint, newest=True), limits, "bench") as subscriber:
            writer = subprocess.Popen(command, pass_fds=(ring.fd,))
            try:
                found = _read_all(subscriber, ring)
                writer.wait(PATIENCE_MS / 1000)
            finally:
                writer.kill()
                writer.wait()
    return found


def copy_ms(size: str, times: int) -> list[float]:
    """Return the times of copying a picture into memory and out again, into memory in use."""
    planes = draw_picture(size).planes
    shared, own = ([np.zeros_like(plane) for plane in planes] for _ in range(2))
    spent_ms = []
    for _ in range(WARM_UP + times):
        began_ns = now_ns()
        for source, middle, target in zip(planes, shared, own, strict=True):
            np.copyto(middle, source)
            np.copyto(target, middle)
        spent_ms.append((now_ns() - began_ns) / MS)
    return spent_ms[WARM_UP:]


def draw_picture(size: str) -> Pixels:
    """Return a picture of noise as YUV 4:2:0."""
    width, height = SIZES_WH[size]
    shapes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    rng = np.random.default_rng(0)
    return Pixels(tuple(rng.integers(0, 256, shape, np.uint8) for shape in shapes))


def _read_all(subscriber: Subscriber, ring: FrameRing) -> Carried:
    """Take the newest frame until the last one; its picture is kept, as a worker would."""
    ages_ms: list[float] = []
    flooded, flood_ns, now = 0, 0, 0
    while True:
        received = subscriber.receive(PATIENCE_MS)
        if received is None:
            raise TimeoutError(f"no frame in {PATIENCE_MS} ms")
        header = _header(received)
        if header.source == LAST:
            break
        if _pixels(received, header, ring) is None:
            continue
        now = now_ns()
        if header.source == FLOOD:
            flooded, flood_ns = flooded + 1, flood_ns or header.captured_ns
        else:
            ages_ms.append((now - header.captured_ns) / MS)
    return Carried(ages_ms[WARM_UP:], flooded * 1e9 / (now - flood_ns))


def _pixels(received: Received, header: FrameHeader, ring: FrameRing) -> Pixels | None:
    if header.slot is None:
        return read_pixels(received)
    return ring.read(header.slot, header.seq, header.pixels)


def _header(received: Received) -> FrameHeader:
    assert isinstance(received.message, FrameHeader)
    return received.message


def _make_ring(load: Load) -> FrameRing:
    nbytes = draw_picture(load.size).nbytes
    ring = FrameRing.create(nbytes, SLOTS)
    ring.reserve(nbytes)
    return ring


def _write_all(publisher: Publisher, ring: FrameRing | None, load: Load) -> None:
    """Send every frame at its time, as many at once, then some that say they are the last."""
    pixels = draw_picture(load.size)
    begun_s, count = time.monotonic(), WARM_UP + load.frames
    for seq in range(count):
        time.sleep(max(0.0, begun_s + seq / load.rate_hz - time.monotonic()))
        _write(publisher, ring, pixels, _make_header(seq, pixels))
    time.sleep(LAST_S)
    for seq in range(count, count + load.frames):
        _write(publisher, ring, pixels, _make_header(seq, pixels, FLOOD))
    time.sleep(FLOOD_S)
    for seq in range(count + load.frames, count + load.frames + 20):
        time.sleep(LAST_S)
        _write(publisher, ring, pixels, _make_header(seq, pixels, LAST))


def _write(
    publisher: Publisher, ring: FrameRing | None, pixels: Pixels, header: FrameHeader
) -> None:
    if ring is None:
        publisher.publish(header, pixels.planes)
        return
    slot = ring.write(header.seq, pixels)
    publisher.publish(_make_header(header.seq, pixels, header.source, slot, header.captured_ns))


def _make_header(
    seq: int, pixels: Pixels, source: str = "", slot: int | None = None, captured_ns: int = 0
) -> FrameHeader:
    return FrameHeader(
        session="bench",
        epoch=0,
        seq=seq,
        host="h",
        captured_ns=captured_ns or now_ns(),
        pts_ns=None,
        before=seq - 1,
        period_ns=0,
        pixels=layout_of(pixels),
        slot=slot,
        damage=None,
        frozen=False,
        masked=True,
        source=source,
    )


def _write_process(arguments: list[str]) -> None:
    endpoint, transport, size, frames, rate_hz, fd = arguments
    load = Load(size, int(frames), float(rate_hz))
    ring = FrameRing.attach(int(fd), writing=True) if transport == "ring" else None
    with Publisher(Link(endpoint, queue=2 * load.frames + 100)) as publisher:  # none is dropped
        time.sleep(0.3)  # until the reader has connected
        _write_all(publisher, ring, load)


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    _write_process(sys.argv[1:])
