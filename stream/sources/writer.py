"""Writes pictures through one encoder into one container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.codec.context import ThreadType

from engines.pixels import Pixels
from stream.closing import Closing
from stream.errors import StorageError

TICKS_HZ = 1000
"""Time stamps count milliseconds, as Matroska does."""
_RATE_HZ = 30  # a number that encoders want; time stamps tell the truth
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is written.

    Parameters
    ----------
    container, mux : format and its options
    codec, options : encoder and its options
    pix_fmt, size_wh : of what is encoded
    key_every : a key frame each so many frames
    space, colour_range : codes of ITU-T H.273 (2021), table 4, and AVColorRange
    """

    container: str
    codec: str
    pix_fmt: str
    size_wh: tuple[int, int]
    key_every: int
    space: int
    colour_range: int
    options: Mapping[str, str] = field(default_factory=dict)
    mux: Mapping[str, str] = field(default_factory=dict)


class VideoWriter(Closing):
    """Owns a container with one video stream.

    Parameters
    ----------
    target : file to write, replaced if it exists, or memory
    encoding : how

    Raises
    ------
    StorageError
        If it cannot be written.
    """

    def __init__(self, target: Path | BytesIO, encoding: Encoding) -> None:
        self._name = str(target) if isinstance(target, Path) else "video in memory"
        self._encoding, self._closed = encoding, False
        self._lasts_ms: dict[int, int] = {}
        file = str(target) if isinstance(target, Path) else target
        try:
            self._container = av.open(
                file, "w", format=encoding.container, options={**encoding.mux}
            )
            self._stream = self._open_stream()
            self._container.start_encoding()
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Finish the file; may be called twice.

        Raises
        ------
        StorageError
            If its end cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with self._container:
                self._mux(None)
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error

    def _encode(self, frame: av.VideoFrame, time_ms: int, lasts_ms: int = 0) -> None:
        """Add a frame at `time_ms`, which grows from frame to frame; 0 is an unknown length."""
        frame.pts, frame.time_base = time_ms, Fraction(1, TICKS_HZ)
        frame.color_range, frame.colorspace = self._encoding.colour_range, self._encoding.space
        if lasts_ms:
            self._lasts_ms[time_ms] = lasts_ms
        try:
            self._mux(frame)
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            if packet.pts in self._lasts_ms:
                packet.duration = self._lasts_ms.pop(packet.pts)
            self._container.mux(packet)

    def _copied(self, pixels: Pixels) -> av.VideoFrame:
        """Return a frame with the planes as they are; they must fit the layout."""
        height, width = pixels.shape_hw
        frame = av.VideoFrame(width, height, self._encoding.pix_fmt)
        for target, plane in zip(frame.planes, pixels.planes, strict=True):
            rows = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
            flat = plane.reshape(plane.shape[0], -1)
            rows[: flat.shape[0], : flat.shape[1]] = flat
        return frame

    def _open_stream(self) -> av.VideoStream:
        encoding = self._encoding
        stream = cast(av.VideoStream, self._container.add_stream(encoding.codec, _RATE_HZ))
        stream.width, stream.height = encoding.size_wh
        stream.pix_fmt, stream.options = encoding.pix_fmt, {**encoding.options}
        stream.gop_size = encoding.key_every
        context = stream.codec_context
        context.thread_count, context.thread_type = _THREADS, ThreadType.SLICE
        context.color_range, context.colorspace = encoding.colour_range, encoding.space
        stream.time_base = context.time_base = Fraction(1, TICKS_HZ)
        return stream

    def _failure(self, error: Exception) -> StorageError:
        return StorageError(self._name, f"cannot be written: {error}")
