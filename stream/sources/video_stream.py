"""Opening a container safely and choosing its one video stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO

import av
import av.logging
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from stream.errors import SourceError, UsageError
from stream.sources.video_checks import MAX_SIDE_PX, check_size, explain_refusal, index_is_cut

if TYPE_CHECKING:
    VideoPacket = av.Packet[VideoStream]

MAX_RATE_HZ = 1000

_BUFFER_BYTES = 1 << 18
_MAX_READ_ERRORS = 16
_NOT_VIDEO = frozenset(["tty", "hls", "dash", "concat", "sdp", "lavfi", "ffmetadata", "imf"])
_TIMED = frozenset(["matroska,webm", "flv", "asf", "nut"])  # headers that state a duration
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails


class ClipFile:
    """The opened file as FFmpeg sees it: bytes and a harmless name, nothing to reach out from."""

    def __init__(self, file: BinaryIO, suffix: str) -> None:
        self.name = f"clip{suffix}"
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class PacketReader:
    """Iterates over the packets of one stream, past read errors; None at the end flushes.

    Attributes
    ----------
    kept : packets that were read already and come first
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self.kept: Sequence[VideoPacket] = ()
        self.count = self.empty = 0
        self.saw_key = False
        self.last_error = "no frame came out"

    def __iter__(self) -> Iterator[VideoPacket | None]:
        yield from self.kept
        self.kept = ()
        for _ in range(_MAX_READ_ERRORS):
            try:
                yield from self.read()
            except FFmpegError as error:
                self.last_error = reason_of(error)
            else:
                break
        yield None

    def read(self) -> Iterator[VideoPacket]:
        """Yield the packets up to the end or a read error."""
        for packet in self._container.demux(self._stream):
            if packet.size:
                self.count += 1
                self.saw_key |= packet.is_keyframe
                yield packet
            elif packet.dts is not None:  # AVI: the picture before is shown again
                self.empty += 1


def open_container(file: BinaryIO, name: str) -> InputContainer:
    """Open the container of an untrusted file; FFmpeg may open nothing else.

    Raises
    ------
    SourceError
        V02, V03, V04 or V10, by what the file is.
    """
    suffix = PurePath(name).suffix
    file.seek(0)
    try:
        container = av.open(
            ClipFile(file, suffix if suffix.isascii() else ""),
            mode="r",
            io_open=_refuse_nested,
            options={"protocol_whitelist": "none", "max_pixels": str(MAX_SIDE_PX**2)},
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
        )
    except MemoryError:
        raise
    except (FFmpegError, ValueError, PermissionError) as error:
        raise explain_refusal(file, name, reason_of(error)) from error
    if not container.streams or (not container.streams.video and index_is_cut(file)):
        container.close()
        raise explain_refusal(file, name, "it names no streams")
    if container.format.name in _NOT_VIDEO:
        container.close()
        raise SourceError(
            name, f"not a video but {container.format.long_name}", "give a video file", fault="V02"
        )
    return container


def choose_stream(container: InputContainer, wanted: int | None, name: str) -> VideoStream:
    """Choose the video stream, counting from 0 over all streams of the file.

    Raises
    ------
    SourceError
        V11 without video, V02 without a decoder, V13, V14 and V18 for what is out of limits.
    UsageError
        V12 if there are several and none, or a wrong one, was chosen.
    """
    pictures = [s for s in container.streams.video if not s.disposition & _COVERS]
    streams = ", ".join(f"{s.index} {s.type}" for s in container.streams) or "none"
    if not pictures:
        raise SourceError(name, f"no video; its streams: {streams}", fault="V11")
    chosen = [s for s in pictures if wanted is None or s.index == wanted]
    if len(chosen) != 1:
        problem = f"{len(pictures)} video streams; its streams: {streams}"
        raise UsageError(name, problem, "choose one with --stream", fault="V12")
    _check_stream(chosen[0], name)
    return chosen[0]


def configure_decoder(stream: VideoStream, threads: int) -> None:
    """Bound what the decoder may allocate and how many threads it takes."""
    av.logging.set_level(av.logging.PANIC)  # counts errors, prints none
    stream.codec_context.options = {"max_pixels": str(MAX_SIDE_PX**2)}
    stream.codec_context.thread_count = threads
    stream.thread_type = "SLICE" if threads == 1 else "AUTO"


def count_complaints() -> int:
    """Return how many errors FFmpeg has logged in this process.

    Many decoders conceal damage and say so only in the log.
    """
    return int(av.logging.get_last_error()[0])


def declared_frames(container: InputContainer, stream: VideoStream, cut: bool) -> int:
    """Return how many frames the container promises, 0 when it does not say.

    An AVI file counts the dropped frames too, which are mere gaps in its index; that index
    comes last, so a cut file has none.
    """
    indexed = len(stream.index_entries)
    if container.format.name == "avi" and indexed > 1 and not cut:
        return min(stream.frames, indexed)
    return stream.frames


def declared_end_ns(container: InputContainer, stream: VideoStream) -> int | None:
    """Return the end of the video that the header promises, or None when it does not say."""
    if container.format.name not in _TIMED:
        return None
    stated = _parse_clock(stream.metadata.get("DURATION", ""))
    if stated is None and len(container.streams) == 1 and container.duration:
        stated = container.duration * 1000
    return stated


def place_ns(stamp: int | None, base: Fraction | None) -> int | None:
    """Return a time stamp in ns, rounded to nearest."""
    if stamp is None or not base:
        return None
    return (2_000_000_000 * stamp * base.numerator + base.denominator) // (2 * base.denominator)


def reason_of(error: Exception) -> str:
    """Return the cause of an FFmpeg error in a few words."""
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def _refuse_nested(url: str, flags: int, options: dict[str, str]) -> object:
    raise PermissionError("a clip may not open other files")


def _check_stream(stream: VideoStream, name: str) -> None:
    if stream.codec_context is None:
        raise SourceError(name, "there is no decoder for its codec", fault="V02")
    if stream.width and stream.height:
        check_size(stream.width, stream.height, name)
    rate = stream.average_rate
    if rate and rate > MAX_RATE_HZ and stream.frames != 1:
        limit = f"at most {MAX_RATE_HZ} are accepted"
        raise SourceError(name, f"{float(rate):.0f} frames per second", limit, fault="V18")


def _parse_clock(text: str) -> int | None:
    """Read ``HH:MM:SS.fraction`` as ns, or None."""
    parts = text.split(":")
    try:
        hours, minutes, seconds = int(parts[0]), int(parts[1]), float(parts[2])
    except (ValueError, IndexError):
        return None
    return round((hours * 3600 + minutes * 60 + seconds) * 1e9)
