"""Ultrasound DICOM files, frame by frame."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.sources.base import Picture, Problem, SourceInfo
from stream.sources.dicom_clock import Clock, read_clock
from stream.sources.dicom_frames import DamagedFrameError, Frames, find_frames, longest_frame_bytes
from stream.sources.dicom_header import Header, read_header
from stream.sources.dicom_layout import read_layout
from stream.sources.dicom_pixels import FrameDecoder, build_decoder
from stream.sources.dicom_spacing import Spacing, read_spacing_mm
from stream.sources.dicom_tables import build_table
from stream.sources.dicom_values import Values
from stream.sources.regular import digest_file, open_regular, shown_name

_LISTED = 20


@dataclass(slots=True)
class DicomReader:
    """Reader of one DICOM file; build it with `open_dicom`.

    Parameters
    ----------
    info : facts known before the first picture
    file : the open file, closed by `close`
    stream : bytes that the frames lie in, the file or what it inflates to
    frames, decoder, clock : where the frames are, what turns them into pictures, and when
    known : problems found at opening
    """

    info: SourceInfo
    file: io.BufferedReader
    stream: BinaryIO
    frames: Frames
    decoder: FrameDecoder
    clock: Clock
    known: list[Problem]
    _damaged: list[str] = field(default_factory=list)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems met so far."""
        if not self._damaged:
            return tuple(self.known)
        more = ", ..." if len(self._damaged) > _LISTED else ""
        listed = ", ".join(self._damaged[:_LISTED]) + more
        text = f"{len(self._damaged)} of {len(self.frames.spans)} frames damaged: {listed}"
        return (*self.known, Problem("D08", text, partial=True))

    def pictures(self) -> Iterator[Picture]:
        """Yield every whole frame; damaged ones are left out and listed in `problems`.

        Raises
        ------
        SourceError
            D08 if not one frame can be decoded.
        """
        limit = longest_frame_bytes(self.decoder.header)
        for index in range(len(self.frames.spans)):
            try:
                pixels = self.decoder.decode(self.frames.read(self.stream, index, limit))
            except DamagedFrameError as error:
                self._damaged.append(f"frame {index + 1} ({error})")
                continue
            yield Picture(pixels, self.clock.pts_ns(index))
        if len(self._damaged) == len(self.frames.spans):
            problem = f"data damaged: no frame decodes, {self._damaged[0]}"
            raise SourceError(self.info.name, problem, "export the file again", fault="D08")
        if digest_file(self.file) != self.info.sha256:
            self.known.append(Problem("V24", "the file changed while it was read", partial=True))

    def close(self) -> None:
        """Close the file; may be called twice."""
        self.file.close()


def open_dicom(path: str) -> DicomReader:
    """Open an ultrasound or secondary capture DICOM file.

    Raises
    ------
    SourceError
        V21 not a regular file, D01 to D08, D11 and D12 of the fault specification, V13 too
        small, V14 too large.
    """
    name = shown_name(path)
    with ExitStack() as closing:
        file = closing.enter_context(open_regular(path))
        digest = digest_file(file)
        layout = read_layout(file, name)
        values = Values(layout.values, layout.little_endian)
        header = read_header(layout, name)
        frames = find_frames(layout, header, name)
        decoder = build_decoder(header, _table(header, values, name), name)
        clock = read_clock(values, len(frames.spans))
        info = _describe(header, clock, (name, digest), read_spacing_mm(layout, header))
        known = [*frames.problems, *_clock_problems(clock, len(frames.spans))]
        closing.pop_all()
        return DicomReader(info, file, layout.stream, frames, decoder, clock, known)


def _table(header: Header, values: Values, name: str) -> NDArray[np.uint8] | None:
    try:
        return build_table(header, values)
    except ValueError as error:
        raise SourceError(name, str(error), "export the file again", fault="D07") from error


def _describe(
    header: Header, clock: Clock, name_digest: tuple[str, str], spacing_mm: Spacing | None
) -> SourceInfo:
    declared = header.declared_frames
    name, digest = name_digest
    return SourceInfo(
        kind="dicom",
        name=name,
        size_wh=header.shown_wh,
        rate_hz=clock.rate_hz,
        frame_count=declared if declared is not None and declared > 0 else None,
        detail=f"{header.sop_class.name}, {header.syntax.name}, {header.photometric}",
        sha256=digest,
        pixel_spacing_mm=spacing_mm,
    )


def _clock_problems(clock: Clock, frames: int) -> list[Problem]:
    if clock.times_ns is not None or frames == 1:
        return []
    return [Problem("D09", "time unknown: no usable frame time", partial=False)]
