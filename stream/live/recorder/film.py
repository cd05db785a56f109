"""The video of a session, turned on and off; one file for each layout of the pictures."""

from __future__ import annotations

import logging
from pathlib import Path

from engines.pixels import Pixels
from stream.errors import StorageError
from stream.live.recorder.recording import VideoWriter
from stream.live.wire.messages import FrameHeader, PixelLayout
from stream.session.live_journal import RecordedRow

_log = logging.getLogger(__name__)


class Film:
    """Writes frames while it is on.

    Parameters
    ----------
    folder : session folder
    instance : of the recorder, part of the files' names
    on : from the start

    Attributes
    ----------
    on : frames are written
    count : frames written so far
    stopped : why nothing is written any more, empty while all is well
    """

    def __init__(self, folder: Path, instance: int, *, on: bool) -> None:
        self._folder, self._instance = folder, instance
        self._writer: VideoWriter | None = None
        self._layout: PixelLayout | None = None
        self._files = 0
        self.on, self.count, self.stopped = on, 0, ""

    def add(self, header: FrameHeader, pixels: Pixels) -> RecordedRow | None:
        """Write a frame; return where it lies, or None if it could not be written."""
        if not self.on or self.stopped:
            return None
        try:
            if self._writer is None or header.pixels != self._layout:
                self._begin(header.pixels)
            assert self._writer is not None
            place = self._writer.add(pixels, header.captured_ns)
        except StorageError as error:
            self.stop(error.problem)
            return None
        self.count += 1
        return RecordedRow(header.epoch, header.seq, self._name(), place)

    def turn(self, on: bool) -> None:
        """Turn it on or off; what was written until then stays."""
        self.on = on
        if not on:
            self.close()

    def stop(self, cause: str) -> None:
        """Write nothing any more."""
        _log.error("the video stops: %s", cause)
        self.stopped = cause
        self.close()

    def close(self) -> None:
        """Finish the file."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except StorageError as error:
            self.stopped = self.stopped or error.problem

    def _begin(self, layout: PixelLayout) -> None:
        self.close()
        self._files += 1
        self._layout = layout
        self._writer = VideoWriter(self._folder / self._name(), layout)

    def _name(self) -> str:
        return f"video-{self._instance}-{self._files}.mkv"
