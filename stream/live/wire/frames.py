"""Takes frames from capture, wherever their pixels lie."""

from __future__ import annotations

from engines.pixels import Pixels
from stream.closing import Closing
from stream.frame import Frame
from stream.live.supervisor.config import LiveConfig
from stream.live.wire.codec import Received
from stream.live.wire.links import newest_frames
from stream.live.wire.messages import FrameHeader
from stream.live.wire.payload import read_pixels
from stream.live.wire.ring import FrameRing


class FrameTaker(Closing):
    """The newest frame, whenever one is asked for.

    Parameters
    ----------
    config : of the session

    Attributes
    ----------
    torn : frames whose pixels were overwritten before they could be copied
    missed : frames that were published, or dropped by capture, between those taken (F23)
    """

    def __init__(self, config: LiveConfig) -> None:
        self.socket = newest_frames(config)
        self._ring = FrameRing.attach(config.ring) if config.ring is not None else None
        self.torn = self.missed = 0
        self._last_seq: int | None = None

    def close(self) -> None:
        """Close socket and ring."""
        self.socket.close()
        if self._ring:
            self._ring.close()

    @property
    def refused(self) -> int:
        """Messages that were refused."""
        return sum(self.socket.refused.values())

    def take(self, timeout_ms: int) -> tuple[FrameHeader, Frame] | None:
        """Wait for the newest frame; None when there is none in time.

        A socket that was polled holds on to the message that it found then, so it is asked twice.
        """
        received = self.socket.receive(timeout_ms)
        if received is not None:
            received = self.socket.receive(0) or received
        if received is None or not isinstance(received.message, FrameHeader):
            return None
        frame = self.frame(received)
        return None if frame is None else (received.message, frame)

    def frame(self, received: Received) -> Frame | None:
        """Return the frame of a header, its pixels copied; None when they are gone."""
        header = received.message
        assert isinstance(header, FrameHeader), "the socket lets nothing else through"
        if self._last_seq is not None:
            self.missed += max(0, header.seq - self._last_seq - 1)
        self._last_seq = header.seq
        pixels = take_pixels(received, self._ring)
        if pixels is None:
            self.torn += 1
            return None
        return frame_of(header, pixels)


def take_pixels(received: Received, ring: FrameRing | None) -> Pixels | None:
    """Return the pixels of a received frame, copied; None when they are gone."""
    header = received.message
    assert isinstance(header, FrameHeader)
    if header.slot is None:
        return read_pixels(received)
    return ring.read(header.slot, header.seq, header.pixels) if ring else None


def frame_of(header: FrameHeader, pixels: Pixels) -> Frame:
    """Return the frame of a header.

    The time of a live frame is that of its capture: the source's own clock may be absent, go back
    or leap, and nobody may order or age by it (F19).
    """
    captured_ns = header.captured_ns
    return Frame(header.id, pixels, captured_ns, captured_ns, header.source, header.damage)
