"""Video files of every kind that FFmpeg reads, decoded in the calling process."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.sources import video_stream as streams
from stream.sources.base import Picture, Problem, SourceInfo
from stream.sources.regular import open_regular, shown_name
from stream.sources.video_audit import ClipAudit, DamageTrail
from stream.sources.video_checks import check_content, check_size, find_cut, index_is_cut
from stream.sources.video_entry import Begun, after_start, find_entry
from stream.sources.video_fields import deinterlaced
from stream.sources.video_pixels import (
    describe_loss,
    display_size,
    read_upright,
)

if TYPE_CHECKING:
    VideoPacket = av.Packet[VideoStream]

_DIGEST_BYTES = 1 << 22


def open_video(
    path: str,
    *,
    stream_index: int | None = None,
    threads: int = 1,
    start_ns: int | None = None,
) -> VideoReader:
    """Open a video file and decode its first picture.

    Parameters
    ----------
    path : regular file
    stream_index : stream to decode, counted over all streams; needed when several hold video
    threads : decoder threads; one leaves the other cores to the engine
    start_ns : place of the picture to begin with, if it can be shown that the pictures from there
        on are those of a reading from the start (see `stream.sources.video_entry`); else all come.
        Such a reading does not judge the clip: damage is told with each picture only

    Raises
    ------
    SourceError
        V01 to V05, V10, V11, V13, V14, V16, V18, V20, V21 or V22: the file cannot be used.
    UsageError
        V12: several video streams and no choice.
    """
    file = open_regular(path)
    try:
        if start_ns is not None:
            with contextlib.suppress(SourceError):  # the whole tells what is wrong
                return VideoReader(file, shown_name(path), stream_index, threads, start_ns)
        return VideoReader(file, shown_name(path), stream_index, threads)
    except BaseException:
        file.close()
        raise


class VideoReader:
    """One opened clip; see `stream.sources.base.Reader`."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        stream_index: int | None = None,
        threads: int = 1,
        start_ns: int | None = None,
    ) -> None:
        self._file, self._name = file, name
        self._first: Picture | None
        check_content(file, name)
        with _digesting(file, beside=start_ns is not None) as sha256:
            self._open(stream_index, threads, start_ns)
        self._sha256 = sha256()
        if self._first is None:
            raise self._explain_nothing()
        self._info = self._describe(self._first)

    @property
    def info(self) -> SourceInfo:
        """Facts known before the first picture."""
        return self._info

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems met so far; complete once `pictures` is exhausted."""
        return tuple(self._problems.values())

    def pictures(self) -> Iterator[Picture]:
        """Yield every picture in order of presentation, once."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._rest
        self._finish()

    def close(self) -> None:
        """Release the file and the decoder."""
        self._rest.close()
        self._container.close()
        self._file.close()

    def _open(self, stream_index: int | None, threads: int, start_ns: int | None) -> None:
        """Open the container and decode the first picture."""
        self._cut = find_cut(self._file)
        self._container = streams.open_container(self._file, self._name)
        self._stream = streams.choose_stream(self._container, stream_index, self._name)
        streams.configure_decoder(self._stream, threads)
        self._packets = streams.PacketReader(self._container, self._stream)
        self._trail = DamageTrail()
        self._begun = None if start_ns is None else self._begin(start_ns)
        self._audit = ClipAudit(
            streams.declared_frames(self._container, self._stream, self._cut is not None),
            streams.declared_end_ns(self._container, self._stream),
        )
        self._problems: dict[str, Problem] = {}
        self._skipped = 0
        self._layout: tuple[int, int, str] | None = None
        self._size_wh = (0, 0)
        self._rest = self._decode()
        self._first = next(self._rest, None)

    def _begin(self, start_ns: int) -> Begun:
        """Read up to a picture and keep what it needs."""
        if self._cut:
            raise SourceError(self._name, self._cut, "read it from its start")
        try:
            begun = find_entry(self._packets.read(), self._stream, start_ns)
        except FFmpegError as error:
            raise SourceError(self._name, streams.reason_of(error)) from error
        self._packets.kept = begun.packets
        return begun

    def _decode(self) -> Generator[Picture]:
        """Yield pictures until the end, or until the clip becomes something unacceptable."""
        frames: Iterator[av.VideoFrame] = self._frames()
        if self._begun:
            frames = after_start(frames, self._begun, self._trail, self._stream.time_base)
        else:
            frames = deinterlaced(frames, self._stream, self._note_fields)
        try:
            for frame in frames:
                yield self._picture(frame)
        except SourceError as error:
            if self._audit.frames == 0:
                raise
            self._note(error.fault, f"{error.problem} after {self._audit.frames} frames", True)

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Yield decoded frames from the first key frame on."""
        for packet in self._packets:
            complaints = streams.count_complaints()
            try:
                frames = self._stream.decode(packet)
            except FFmpegError as error:
                self._lose(packet, error)
                continue
            if packet is not None and packet.is_corrupt:
                self._trail.taint(self._place(packet.dts))
            if packet is not None and streams.count_complaints() != complaints:
                self._trail.suspect(self._place(packet.pts))
            for frame in frames:
                if self._packets.saw_key or frame.key_frame:
                    self._packets.saw_key = True
                    yield frame
                else:
                    self._skipped += 1

    def _lose(self, packet: VideoPacket | None, error: FFmpegError) -> None:
        if isinstance(error, MemoryError):
            raise error
        self._audit.lost_packets += 1
        self._packets.last_error = streams.reason_of(error)
        self._trail.taint(self._place(packet.dts) if packet is not None else None)

    def _picture(self, frame: av.VideoFrame) -> Picture:
        pts_ns = self._place(frame.pts if frame.pts is not None else frame.dts, frame.time_base)
        damage = self._trail.judge(frame, pts_ns)
        layout = (frame.width, frame.height, frame.format.name)
        if layout != self._layout:
            self._layout, self._size_wh = layout, self._check_layout(frame)
        pixels = read_upright(frame, self._size_wh, self._name)
        self._audit.add(pts_ns, self._place(frame.duration, frame.time_base) or 0, damage)
        return Picture(pixels, pts_ns, damage)

    def _check_layout(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Return the size to show, with square pixels."""
        aspect = self._stream.sample_aspect_ratio
        size_wh = display_size((frame.width, frame.height), aspect)
        check_size(*size_wh, self._name)
        loss = describe_loss(frame)
        if loss:
            self._note("V15", loss, False)
        return size_wh

    def _place(self, stamp: int | None, time_base: Fraction | None = None) -> int | None:
        """Return a time stamp in ns, rounded to nearest."""
        return streams.place_ns(stamp, time_base or self._stream.time_base)

    def _finish(self) -> None:
        if not self._begun:  # a part says nothing of the whole
            self._judge()
        if _digest(self._file) != self._sha256:
            self._note("V24", "the file changed while it was read", True)

    def _judge(self) -> None:
        self._audit.repeats = self._packets.empty
        if self._skipped:
            self._note("V20", f"{self._skipped} frames before the first key frame left out", True)
        for problem in self._audit.problems(self._cut):
            self._problems[problem.fault] = problem

    def _explain_nothing(self) -> SourceError:
        found = self._packets.count
        if found == 0 or self._cut:
            reason = self._cut or "there is an index, but no frame data"
            text = f"no decodable frame: {reason}"
            fault = "V04" if index_is_cut(self._file) else "V05"
        elif self._skipped or not self._packets.saw_key:
            text, fault = f"no key frame found in {found} packets", "V20"
        else:
            text, fault = f"no decodable frame ({self._packets.last_error})", "V04"
        return SourceError(self._name, text, "copy the recording again", fault=fault)

    def _describe(self, first: Picture) -> SourceInfo:
        height, width = first.pixels.shape_hw
        rate, codec = self._stream.average_rate, self._stream.codec_context
        return SourceInfo(
            kind="video",
            name=self._name,
            size_wh=(width, height),
            rate_hz=float(rate) if rate else None,
            frame_count=self._stream.frames or None,
            detail=f"{codec.name} {codec.pix_fmt} in {self._container.format.long_name}",
            sha256=self._sha256,
        )

    def _note_fields(self) -> None:
        self._note("V16", "interlaced: fields are merged into whole frames", False)

    def _note(self, fault: str, text: str, partial: bool) -> None:
        self._problems[fault] = Problem(fault, text, partial)


@contextlib.contextmanager
def _digesting(file: BinaryIO, *, beside: bool) -> Iterator[Callable[[], str]]:
    """Yield what tells the digest; `beside` takes it while the clip is opened, to save time."""
    if not beside:
        digest = _digest(file)
        yield lambda: digest
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_digest, file).result


def _digest(file: BinaryIO) -> str:
    """Read the file past its own place, which is the container's."""
    digest, place = hashlib.sha256(), 0
    while block := os.pread(file.fileno(), _DIGEST_BYTES, place):
        digest.update(block)
        place += len(block)
    return digest.hexdigest()
