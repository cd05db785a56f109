"""Pictures from a network stream: RTSP over TCP, MPEG-TS over TCP or UDP, HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av
from av.error import FFmpegError

from stream.clock import now_ns
from stream.closing import Closing
from stream.errors import SourceError
from stream.sources.live.address import endpoint_of, shown_address
from stream.sources.live.base import Grabbed, LiveInfo
from stream.sources.live.opening import cause_of, choose_only_video, open_stream
from stream.sources.live.options import LiveOptions
from stream.sources.video_audit import DamageTrail
from stream.sources.video_checks import check_size
from stream.sources.video_fields import deinterlaced
from stream.sources.video_pixels import display_size, read_upright
from stream.sources.video_stream import count_complaints

_FAULT = "F14"
_MAX_CLOCK_NS = 1 << 62


class NetworkGrabber(Closing):
    """One open network stream; see `stream.sources.live.base.Grabber`.

    `captured_ns` is the clock when the last data of the picture had come, before decoding. A
    stream that ends is lost, never the end of the examination: `grab` gives no None.

    Parameters
    ----------
    address : such as ``rtsp://user:password@host/path`` or ``tcp://host:port``
    options : time limits

    Raises
    ------
    SourceError
        F14: refused, no answer, silent, closed, not a video, wrong login.
    UsageError
        If host or port are missing.
    """

    def __init__(self, address: str, options: LiveOptions) -> None:
        self._name, self._options = shown_address(address), options
        place = endpoint_of(address)
        self._lock, self._closed = threading.Lock(), False
        self._container, self._feed = open_stream(address, place, self._name, options)
        try:
            self._stream = choose_only_video(self._container, self._name)
        except BaseException:
            self.close()
            raise
        self._info = self._describe(place.scheme)
        self._trail, self._saw_key = DamageTrail(), False
        self._layout: tuple[int, int, str] | None = None
        self._size_wh = (0, 0)
        self._arrived_ns = now_ns()
        self._until_s = 0.0
        self._pictures = self._decode()

    @property
    def info(self) -> LiveInfo:
        """Facts known once it is open."""
        return self._info

    def grab(self) -> Grabbed:
        """Wait for the next picture.

        Raises
        ------
        SourceError
            F14 if the stream is lost: closed, silent, or without pictures for too long.
        """
        with self._lock:
            self._until_s = time.monotonic() + self._options.picture_s
            if self._feed:
                self._feed.allow(self._options.picture_s)
            picture = None if self._closed else next(self._pictures, None)
        if picture is None:
            raise self._lost("was closed" if self._closed else "closed by the sender")
        return picture

    def close(self) -> None:
        """Release the stream; a grab under way ends first, at most after its time limit."""
        self._closed = True
        if self._feed:
            self._feed.close()
        with self._lock:
            self._container.close()

    def _decode(self) -> Iterator[Grabbed]:
        frames = deinterlaced(self._frames(), self._stream, lambda: None)
        for frame in frames:
            yield self._picture(frame)

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Yield decoded frames from the first key frame on."""
        for packet in self._packets():
            complaints = count_complaints()
            self._saw_key |= packet.is_keyframe
            try:
                frames = self._stream.decode(packet)
            except FFmpegError:
                self._trail.taint(self._place(packet.dts))
                continue
            if packet.is_corrupt:
                self._trail.taint(self._place(packet.dts))
            if count_complaints() != complaints:
                self._trail.suspect(self._place(packet.pts))
            for frame in frames:
                self._saw_key |= frame.key_frame
                if self._saw_key:
                    yield frame

    def _packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, ValueError) as error:
                packet, cause = None, cause_of(error, self._options.silence_s)
            else:
                cause = "closed by the sender"
            if packet is None or (not packet.size and packet.dts is None):
                raise (self._feed and self._feed.failure) or self._lost(cause)
            self._arrived_ns = now_ns()
            if time.monotonic() > self._until_s:
                limit = f"{self._options.picture_s:g} s"
                raise self._lost(f"not a video: data came, but no picture in {limit}")
            yield packet

    def _picture(self, frame: av.VideoFrame) -> Grabbed:
        pts_ns = self._place(frame.pts if frame.pts is not None else frame.dts, frame.time_base)
        damage = self._trail.judge(frame, pts_ns)
        layout = (frame.width, frame.height, frame.format.name)
        if layout != self._layout:
            self._layout, self._size_wh = layout, self._check_layout(frame)
        pixels = read_upright(frame, self._size_wh, self._name)
        return Grabbed(pixels, self._arrived_ns, pts_ns, damage)

    def _check_layout(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Return the size to show, with square pixels."""
        size_wh = display_size((frame.width, frame.height), self._stream.sample_aspect_ratio)
        check_size(*size_wh, self._name)
        return size_wh

    def _place(self, stamp: int | None, time_base: Fraction | None = None) -> int | None:
        """Return a time stamp in ns, or None for one that no clock shows."""
        base = time_base or self._stream.time_base
        if stamp is None or not base:
            return None
        place_ns = round(stamp * base * 1_000_000_000)
        return place_ns if abs(place_ns) < _MAX_CLOCK_NS else None

    def _describe(self, scheme: str) -> LiveInfo:
        codec, rate = self._stream.codec_context, self._stream.average_rate
        detail = f"{codec.name} {codec.pix_fmt or ''} in {self._container.format.name} by {scheme}"
        return LiveInfo("network", self._name, detail, float(rate) if rate else None, False)

    def _lost(self, cause: str) -> SourceError:
        return SourceError(self._name, cause, "check the sender", fault=_FAULT)
