"""The video of a live session: the pictures as they left capture."""

from __future__ import annotations

from pathlib import Path

from engines.pixels import Pixels
from stream.closing import Closing
from stream.live.wire.messages import PixelLayout
from stream.live.wire.payload import layout_of
from stream.sources.lossless import LosslessWriter, read_recording

__all__ = ["VideoWriter", "read_recording"]


class VideoWriter(Closing):
    """Writes pictures of one layout into one file; another layout needs another file.

    Time stamps in the file count from its first picture, in milliseconds. The exact time of a
    picture is in the journal, beside its index in the file.

    Parameters
    ----------
    path : file to write, replaced if it exists
    layout : of all its pictures

    Raises
    ------
    StorageError
        If the file cannot be written.
    """

    def __init__(self, path: Path, layout: PixelLayout) -> None:
        self._layout = layout
        self._writer = LosslessWriter(path, layout.shapes, layout.matrix, layout.full_range)
        self._count = 0
        self._start_ns = 0

    def add(self, pixels: Pixels, captured_ns: int) -> int:
        """Write a picture and return its index in the file, counted from 0.

        Raises
        ------
        StorageError
            If it cannot be written.
        ValueError
            If it has another layout.
        """
        if layout_of(pixels) != self._layout:
            raise ValueError(f"{layout_of(pixels)}: this file is for {self._layout}")
        if not self._count:
            self._start_ns = captured_ns
        self._writer.write(pixels, captured_ns - self._start_ns)
        self._count += 1
        return self._count - 1

    def close(self) -> None:
        """Finish the file; may be called twice."""
        self._writer.close()
