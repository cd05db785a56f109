"""Real senders of the benchmark: ffmpeg on loopback, clips made once; a display in memory."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stream.replay_command import DEMO_CLIP

PATIENCE_S = 20.0


@contextmanager
def running(command: Sequence[str], fds: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=fds
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def make_clip(folder: Path, size_wh: tuple[int, int], rate_hz: int) -> Path:
    """Make an MPEG-TS clip of the demonstration clip at another size and rate, without B-frames.

    Every picture is another one: the clip is played faster, not filled up with repetitions.
    """
    width, height = size_wh
    path = folder / f"{height}p{rate_hz}.ts"
    if path.exists():
        return path
    scale = f"scale=-2:{height},pad={width}:{height}:(ow-iw)/2:0,setpts=N/{rate_hz}/TB"
    command = ["ffmpeg", "-v", "error", "-i", str(DEMO_CLIP), "-vf", scale, "-r", str(rate_hz)]
    command += ["-an", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", str(rate_hz)]
    subprocess.run([*command, "-f", "mpegts", str(path)], check=True)
    return path


@contextmanager
def sending(clip: Path) -> Iterator[tuple[str, int]]:
    """Serve a clip in real time, again and again, to whoever connects; yields address and pid."""
    address = f"tcp://127.0.0.1:{_free_port()}"
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip)]
    with running([*command, "-c", "copy", "-f", "mpegts", f"{address}?listen=1"]) as sender:
        yield address, sender.pid


@contextmanager
def display(size_wh: tuple[int, int]) -> Iterator[int | None]:
    """Have an X server in memory as the display; yields its pid, or None where it is absent."""
    if shutil.which("Xvfb") is None:
        yield None
        return
    read, write = os.pipe()
    size = f"{size_wh[0]}x{size_wh[1]}x24"
    command = [
        "Xvfb",
        "-displayfd",
        str(write),
        "-screen",
        "0",
        size,
        "-nolisten",
        "tcp",
        "-noreset",
    ]
    before = os.environ.get("DISPLAY")
    with running(command, (write,)) as server:
        os.close(write)
        with os.fdopen(read) as pipe:
            os.environ["DISPLAY"] = f":{pipe.readline().strip()}"
        try:
            yield server.pid
        finally:
            os.environ.pop("DISPLAY")
            if before is not None:
                os.environ["DISPLAY"] = before


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
