"""Builders of small clips, sound and damaged, for tests; everything is synthetic and seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIZE_WH = (160, 120)
Prepare = Callable[[av.VideoStream], None]


def pictures(count: int, size_wh: tuple[int, int] = SIZE_WH) -> Iterator[NDArray[np.uint8]]:
    """Yield RGB pictures of a bright bar that moves over fixed, bluish noise."""
    width, height = size_wh
    grey = np.random.default_rng(7).integers(40, 90, (height, width, 1), dtype=np.uint8)
    noise = grey + np.array([0, 10, 20], np.uint8)
    for number in range(count):
        picture = noise.copy()
        left = number * 2 % max(1, width - 16)
        picture[:, left : left + 16] += np.uint8(120)
        yield picture


def write_clip(
    path: Path,
    count: int = 30,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size_wh: tuple[int, int] = SIZE_WH,
    prepare: Prepare | None = None,
) -> Path:
    """Encode `count` pictures at 30 frames per second; `prepare` may change the stream first.

    MP4 files carry their index in front of the frames.
    """
    mux = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(path, "w", options=mux) as container:
        stream = container.add_stream(codec, rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pix_fmt
        stream.gop_size = 10
        stream.codec_context.thread_count = 1
        if prepare:
            prepare(stream)
        for picture in pictures(count, size_wh):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def copy_packets(
    source: Path,
    target: Path,
    change: Callable[[int, av.Packet[av.VideoStream]], av.Packet[av.VideoStream] | None],
) -> Path:
    """Copy a clip packet by packet; `change` may alter a packet or drop it by returning None."""
    with av.open(source) as given, av.open(target, "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        number = 0
        for packet in given.demux(video=0):
            if packet.size == 0:
                continue
            changed = change(number, packet)
            number += 1
            if changed is not None:
                changed.stream = stream
                made.mux(changed)
    return target


def write_audio(path: Path) -> Path:
    """Write half a second of silence."""
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.float32), "fltp", "mono")
        frame.sample_rate, frame.time_base = 8000, Fraction(1, 8000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_two_streams(path: Path) -> Path:
    """Write a file with two video streams."""
    with av.open(path, "w") as container:
        streams = [container.add_stream("mpeg4", rate=30) for _ in range(2)]
        for stream in streams:
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = SIZE_WH
        for picture in pictures(5):
            for stream in streams:
                assert isinstance(stream, av.VideoStream)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        for stream in streams:
            assert isinstance(stream, av.VideoStream)
            container.mux(stream.encode(None))
    return path


def cut(source: Path, target: Path, size: int) -> Path:
    """Keep the first `size` bytes."""
    target.write_bytes(source.read_bytes()[:size])
    return target


def overwrite(source: Path, target: Path, start: int, data: bytes) -> Path:
    """Replace the bytes from `start` on."""
    whole = bytearray(source.read_bytes())
    whole[start : start + len(data)] = data
    target.write_bytes(whole)
    return target


def flip(source: Path, target: Path, seed: int, count: int, span: tuple[int, int]) -> Path:
    """Replace `count` bytes at random places in `span` by random ones."""
    random = np.random.default_rng(seed)
    whole = bytearray(source.read_bytes())
    for place in random.integers(*span, count).tolist():
        whole[place] = int(random.integers(256))
    target.write_bytes(whole)
    return target


def box_span(path: Path, kind: bytes) -> tuple[int, int]:
    """Return first byte and end of a top-level MP4 box."""
    data, start = path.read_bytes(), 0
    while data[start + 4 : start + 8] != kind:
        start += int.from_bytes(data[start : start + 4])
    return start, start + int.from_bytes(data[start : start + 4])
