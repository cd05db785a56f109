"""Network streams from real senders, and every way in which they fail (F14, F19, V22)."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import pytest

from stream.clock import now_ns
from stream.errors import SourceError, UsageError
from stream.sources.live.backoff import Backoff
from stream.sources.live.base import Grabbed
from stream.sources.live.open import LiveOptions, open_live
from tests import live_senders as senders
from tests.clips import write_clip

pytestmark = pytest.mark.timeout(90)

QUICK = LiveOptions(open_s=3.0, silence_s=1.0, picture_s=3.0)
PATIENT = LiveOptions(open_s=15.0, silence_s=10.0, picture_s=15.0)
REAL = sorted(Path("../shared/data/pocus_lung/videos").glob("*/*.mp4"))
SECRET = "s3cret"


@pytest.fixture(scope="module")
def ts(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return senders.as_ts(write_clip(tmp_path_factory.mktemp("live") / "clip.mp4", 60))


def grab(address: str, count: int, options: LiveOptions = PATIENT) -> list[Grabbed]:
    """Open once the sender listens, and take so many pictures."""
    until_s = time.monotonic() + 20
    while True:
        try:
            grabber = open_live(address, options)
            break
        except SourceError as error:
            if "refused" not in str(error) or time.monotonic() > until_s:
                raise
            threading.Event().wait(0.05)
    try:
        return [grabber.grab() for _ in range(count)]
    finally:
        grabber.close()


def loss(address: str, options: LiveOptions = QUICK) -> SourceError:
    """Return how an address is lost, now or later."""
    with pytest.raises(SourceError) as caught:
        grabber = open_live(address, options)
        try:
            for _ in range(10_000):
                grabber.grab()
        finally:
            grabber.close()
    return caught.value


def check_live(pictures: list[Grabbed], shape_hw: tuple[int, int], rate_hz: float) -> None:
    """Check size, order, source time, and that pictures came one by one and not in a heap."""
    assert {picture.pixels.shape_hw for picture in pictures} == {shape_hw}
    captured = [picture.captured_ns for picture in pictures]
    assert captured == sorted(captured) and captured[-1] <= now_ns()
    steps = [b.pts_ns - a.pts_ns for a, b in itertools.pairwise(pictures) if a.pts_ns is not None]
    assert np.median(steps) == pytest.approx(1e9 / rate_hz, rel=0.05)
    assert captured[-1] - captured[0] > 0.3 * len(pictures) * 1e9 / rate_hz
    assert not any(picture.damage for picture in pictures)


def test_mpeg_ts_over_tcp_from_ffmpeg():
    port = senders.free_port()
    with senders.ffmpeg(senders.DEMO, f"tcp://127.0.0.1:{port}?listen=1"):
        check_live(grab(f"tcp://127.0.0.1:{port}", 40), (480, 640), 25)


def test_mpeg_ts_over_udp_from_ffmpeg():
    port = senders.free_port(socket.SOCK_DGRAM)
    with senders.ffmpeg(senders.DEMO, f"udp://127.0.0.1:{port}?pkt_size=1316"):
        check_live(grab(f"udp://127.0.0.1:{port}", 40), (480, 640), 25)


def test_http_from_ffmpeg():
    port = senders.free_port()
    with senders.ffmpeg(senders.DEMO, "-listen", "1", f"http://127.0.0.1:{port}"):
        until_s = time.monotonic() + 10
        while not _listens(port) and time.monotonic() < until_s:
            threading.Event().wait(0.05)
        # This sender serves the first connection only, which here is our knock.
        assert "closed" in str(loss(f"http://127.0.0.1:{port}"))


def test_a_real_clip_over_tcp_from_ffmpeg():
    if not REAL:
        pytest.skip("../shared/data/pocus_lung is absent")
    port = senders.free_port()
    with senders.ffmpeg(REAL[0], f"tcp://127.0.0.1:{port}?listen=1"):
        pictures = grab(f"tcp://127.0.0.1:{port}", 20)
    assert len({picture.pixels.shape_hw for picture in pictures}) == 1


def test_rtsp_from_gstreamer():
    with senders.rtsp(senders.DEMO) as port:
        check_live(grab(f"rtsp://127.0.0.1:{port}/clip", 40), (480, 640), 25)
