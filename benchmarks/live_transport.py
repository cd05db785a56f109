"""How full frames travel: after their header in a ZeroMQ message, or in the shared ring.

Both carry the same pictures between the same two processes in one run, in turns: time from just
before the writer hands a frame over until its pixels are in the reader's own memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.pixels import Pixels
from stream.clock import MS, now_ns
from stream.live.wire.channels import Publisher, Subscriber
from stream.live.wire.codec import FRAMES, SHARED_FRAMES, Received
from stream.live.wire.endpoints import Link
from stream.live.wire.messages import FrameHeader
from stream.live.wire.payload import layout_of, read_pixels
from stream.live.wire.ring import FrameRing

SIZES_WH = {"720p": (1280, 720), "1080p": (1920, 1080)}
FORMATS = ("yuv420", "rgb")
SLOTS = 8
WARM_UP = 30
PATIENCE_MS = 10_000
LAST = "last"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: `frames` pictures of a size and format, `rate_hz` times a second."""

    size: str
    format: str
    frames: int
    rate_hz: float


def measure_transport(
    frames: int = 300,
    rate_hz: float = 60.0,
    rounds: int = 2,
    formats: Sequence[str] = FORMATS,
) -> list[dict[str, Any]]:
    """Return a row for each size, format and transport.

    Parameters
    ----------
    frames : measured in each round, after a warm-up
    rate_hz : pace of the writer
    rounds : how often the transports take turns
    formats : of the pictures

    Returns
    -------
    Rows with ``p50_ms``, ``p99_ms``, the frames ``received`` and ``sent``, and
    ``writer_cpu_ms`` and ``reader_cpu_ms`` of processor time per frame.
    """
    rows = []
    for size in SIZES_WH:
        for name in formats:
            load = Load(size, name, frames + WARM_UP, rate_hz)
            found: dict[str, list[dict[str, Any]]] = {"message": [], "ring": []}
            for _ in range(rounds):
                for transport, parts in found.items():
                    parts.append(_measure(load, transport))
            rows += [_summary(load, transport, parts) for transport, parts in found.items()]
    return rows


def _summary(load: Load, transport: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    ages = np.concatenate([part["ages_ms"] for part in parts])
    sent = load.frames * len(parts)
    row: dict[str, Any] = {"size": load.size, "format": load.format, "transport": transport}
    row |= {f"p{p}_ms": round(float(np.percentile(ages, p)), 3) for p in (50, 99)}
    row |= {"received": sum(part["received"] for part in parts), "sent": sent}
    for side in ("writer", "reader"):
        spent_ms = sum(part[f"{side}_cpu_ns"] for part in parts) / MS
        row[f"{side}_cpu_ms"] = round(spent_ms / sent, 3)
    return row


def _measure(load: Load, transport: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, _make_ring(load) as ring:
        endpoint = f"ipc://{folder}/frames"
        limits = SHARED_FRAMES if transport == "ring" else FRAMES
        command = [sys.executable, "-m", "benchmarks.live_transport", endpoint, transport]
        command += [load.size, load.format, str(load.frames), str(load.rate_hz), str(ring.fd)]
        with Subscriber(Link(endpoint, newest=True), limits, "bench") as subscriber:
            writer = subprocess.Popen(command, pass_fds=(ring.fd,), stdout=subprocess.PIPE)
            try:
                found = _read_all(subscriber, ring)
                said = writer.communicate(timeout=PATIENCE_MS / 1000)[0]
            finally:
                writer.kill()
                writer.wait()
    written: dict[str, Any] = json.loads(said)
    return found | written


def _read_all(subscriber: Subscriber, ring: FrameRing) -> dict[str, Any]:
    """Take the newest frame until the last one; its picture is kept, as a worker would."""
    ages_ms: list[float] = []
    start_ns = 0
    while True:
        received = subscriber.receive(PATIENCE_MS)
        if received is None:
            raise TimeoutError(f"no frame in {PATIENCE_MS} ms")
        start_ns = start_ns or time.process_time_ns()
        header = _header(received)
        if header.source == LAST:
            break
        pixels = _pixels(received, header, ring)
        if pixels is not None:
            ages_ms.append((now_ns() - header.captured_ns) / MS)
    spent_ns = time.process_time_ns() - start_ns
    return {
        "ages_ms": ages_ms[WARM_UP:],
        "received": len(ages_ms),
        "reader_cpu_ns": spent_ns,
    }


def _pixels(received: Received, header: FrameHeader, ring: FrameRing) -> Pixels | None:
    if header.slot is None:
        return read_pixels(received)
    return ring.read(header.slot, header.seq, header.pixels)


def _header(received: Received) -> FrameHeader:
    assert isinstance(received.message, FrameHeader)
    return received.message


def _make_ring(load: Load) -> FrameRing:
    nbytes = _draw(load.size, load.format).nbytes
    ring = FrameRing.create(nbytes, SLOTS)
    ring.reserve(nbytes)
    return ring


def _draw(size: str, name: str) -> Pixels:
    width, height = SIZES_WH[size]
    halves = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    shapes: tuple[tuple[int, ...], ...] = ((height, width, 3),) if name == "rgb" else halves
    rng = np.random.default_rng(0)
    return Pixels(tuple(rng.integers(0, 256, shape, np.uint8) for shape in shapes))


def _write_all(publisher: Publisher, ring: FrameRing | None, load: Load) -> int:
    """Send every frame at its time, then one that says it was the last; return ns of CPU."""
    pixels = _draw(load.size, load.format)
    period_s = 1 / load.rate_hz
    begun_s, start_ns = time.monotonic(), time.process_time_ns()
    for seq in range(load.frames):
        time.sleep(max(0.0, begun_s + seq * period_s - time.monotonic()))
        _write(publisher, ring, pixels, _make_header(seq, pixels))
    spent_ns = time.process_time_ns() - start_ns
    for seq in range(load.frames, load.frames + 20):
        time.sleep(period_s)
        _write(publisher, ring, pixels, _make_header(seq, pixels, LAST))
    return spent_ns


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
    endpoint, transport, size, name, frames, rate_hz, fd = arguments
    load = Load(size, name, int(frames), float(rate_hz))
    ring = FrameRing.attach(int(fd), writing=True) if transport == "ring" else None
    with Publisher(Link(endpoint, queue=4)) as publisher:
        time.sleep(0.3)  # until the reader has connected
        spent_ns = _write_all(publisher, ring, load)
    sys.stdout.write(json.dumps({"writer_cpu_ns": spent_ns}))


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    if len(sys.argv) > 1:
        _write_process(sys.argv[1:])
    else:
        for row in measure_transport():
            sys.stdout.write(json.dumps(row) + "\n")
