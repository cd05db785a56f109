"""Senders for live sources on loopback: sound ones, and one for each way to fail."""

from __future__ import annotations

import contextlib
import io
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

DEMO = Path(__file__).parents[1] / "stream" / "demo" / "kidney.mp4"
RTSP_SERVER = Path(__file__).with_name("rtsp_server.py")
SYSTEM_PYTHON = "/usr/bin/python3"

Serve = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """Serve each connection by `serve` in a thread of its own; yields the port."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def one(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                client.settimeout(20)
                serve(client, stop)

        def accept() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    threads.append(threading.Thread(target=one, args=(server.accept()[0],)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            for thread in [accepting, *threads]:
                thread.join(20)


def silent(_client: socket.socket, stop: threading.Event) -> None:
    """Accept and send nothing."""
    stop.wait(20)


def closes_at_once(_client: socket.socket, _stop: threading.Event) -> None:
    """Accept and close."""


def garbage(client: socket.socket, stop: threading.Event) -> None:
    """Send random bytes until the other side has enough."""
    data = np.random.default_rng(4).bytes(1 << 16)
    while not stop.is_set():
        client.sendall(data)


def drip(data: bytes) -> Serve:
    """Send data so slowly that no picture is ever complete."""

    def serve(client: socket.socket, stop: threading.Event) -> None:
        for place in range(0, len(data), 8):
            client.sendall(data[place : place + 8])
            if stop.wait(0.05):
                return

    return serve


def sends(data: bytes, *, then: Serve = closes_at_once) -> Serve:
    """Send data at once, then fail in the given way."""

    def serve(client: socket.socket, stop: threading.Event) -> None:
        client.sendall(data)
        then(client, stop)

    return serve


def answers(head: str, body: bytes = b"", *, then: Serve = closes_at_once) -> Serve:
    """Answer one HTTP request."""

    def serve(client: socket.socket, stop: threading.Event) -> None:
        if not client.recv(1 << 16):
            return
        sends(head.encode() + b"\r\n\r\n" + body, then=then)(client, stop)

    return serve


def relays(port: int, most_bytes: int, *, then: Serve) -> Serve:
    """Pass a conversation on to another port until so much has come back, then fail."""

    def serve(client: socket.socket, stop: threading.Event) -> None:
        left = most_bytes
        with socket.create_connection(("127.0.0.1", port)) as server:
            while left > 0 and not stop.is_set():
                for ready in select.select([client, server], [], [], 0.1)[0]:
                    data = ready.recv(1 << 12)
                    if not data:
                        return
                    (client if ready is server else server).sendall(data)
                    left -= len(data) * (ready is server)
            then(client, stop)

    return serve


def as_ts(clip: Path) -> bytes:
    """Return a video file's packets as MPEG-TS, unchanged."""
    target = io.BytesIO()
    with av.open(clip) as source, av.open(target, "w", format="mpegts") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return target.getvalue()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program and end it; skips the test where the program is absent."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is absent")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def ffmpeg(clip: Path, *target: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """Send a video file in real time with ffmpeg, as MPEG-TS, with a key frame each half second."""
    coding = [
        "-an",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-g",
        "12",
        "-f",
        "mpegts",
    ]
    return running("ffmpeg", "-v", "error", "-re", "-i", str(clip), *coding, *target)


@contextlib.contextmanager
def rtsp(clip: Path, *more: str) -> Iterator[int]:
    """Serve a clip by GStreamer's RTSP server; yields the port."""
    with running(SYSTEM_PYTHON, str(RTSP_SERVER), str(clip), *more) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            pytest.skip("GStreamer's RTSP server is absent")
        yield int(port)
