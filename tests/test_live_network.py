"""Network streams from real senders, and every way in which they fail (F14, F19)."""

from __future__ import annotations

import io
import itertools
import socket
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from stream.clock import now_ns
from stream.errors import SourceError
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


def test_mpeg_ts_over_http_from_ffmpeg():
    port = senders.free_port()
    with senders.ffmpeg(senders.DEMO, "-listen", "1", f"http://127.0.0.1:{port}"):
        check_live(grab(f"http://127.0.0.1:{port}", 40), (480, 640), 25)


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


def test_rtsp_with_a_login():
    with senders.rtsp(senders.DEMO, "--login", f"user:{SECRET}") as port:
        assert len(grab(f"rtsp://user:{SECRET}@127.0.0.1:{port}/clip", 3)) == 3


OK = "HTTP/1.0 200 OK\r\nContent-Type: video/mp2t"
FAULTS = {
    "tcp silent": ("tcp", senders.silent, "silent"),
    "tcp closed": ("tcp", senders.closes_at_once, "closed by the sender"),
    "tcp garbage": ("tcp", senders.garbage, "not a video"),
    "http silent": ("http", senders.silent, "silent"),
    "http closed": ("http", senders.closes_at_once, "closed by the sender"),
    "http garbage": ("http", senders.answers(OK, then=senders.garbage), "not a video"),
    "http absent": ("http", senders.answers("HTTP/1.0 404 Not Found"), "404"),
    "rtsp silent": ("rtsp", senders.silent, "silent"),
    "rtsp closed": ("rtsp", senders.closes_at_once, "closed by the sender"),
    "rtsp garbage": ("rtsp", senders.garbage, "silent: nothing usable"),
    "no TLS": ("https", senders.garbage, "no secure connection"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_f14_a_stream_that_cannot_be_opened_has_its_cause_by_name(fault: str):
    scheme, serve, cause = FAULTS[fault]
    begun_s = time.monotonic()
    with senders.listening(serve) as port:
        error = loss(f"{scheme}://127.0.0.1:{port}/x")
        assert time.monotonic() - begun_s < QUICK.open_s + 5
    assert cause in error.problem and error.fault == "F14"


@pytest.mark.parametrize("scheme", ["tcp", "http", "rtsp"])
def test_f14_a_port_without_a_listener_refuses(scheme: str):
    assert "refused" in loss(f"{scheme}://127.0.0.1:{senders.free_port()}/x").problem


def test_f14_an_unknown_host_is_named_as_such():
    assert "no host of that name" in loss("tcp://no-such-host.invalid:5000").problem


def test_f14_udp_without_a_sender_is_silent():
    port = senders.free_port(socket.SOCK_DGRAM)
    assert "silent" in loss(f"udp://127.0.0.1:{port}").problem


AFTER = {
    "half-open": (senders.silent, "silent"),
    "closed": (senders.closes_at_once, "closed by the sender"),
}


@pytest.mark.parametrize("scheme", ["tcp", "http"])
@pytest.mark.parametrize("fault", AFTER)
def test_f14_a_stream_that_breaks_in_the_middle_is_lost(ts: bytes, scheme: str, fault: str):
    then, cause = AFTER[fault]
    half = ts[: len(ts) // 2]
    serve = (
        senders.answers(OK, half, then=then) if scheme == "http" else senders.sends(half, then=then)
    )
    with senders.listening(serve) as port:
        assert cause in loss(f"{scheme}://127.0.0.1:{port}/x").problem


@pytest.mark.parametrize("fault", AFTER)
def test_f14_an_rtsp_stream_that_breaks_in_the_middle_is_lost(fault: str):
    then, cause = AFTER[fault]
    with (
        senders.rtsp(senders.DEMO) as port,
        senders.listening(senders.relays(port, 60_000, then=then)) as broken,
    ):
        assert cause in loss(f"rtsp://127.0.0.1:{broken}/clip").problem


def test_f14_garbage_in_the_middle_is_lost_within_its_limit(ts: bytes):
    begun_s = time.monotonic()
    with senders.listening(senders.sends(ts[: len(ts) // 2], then=senders.garbage)) as port:
        error = loss(f"tcp://127.0.0.1:{port}")
        assert time.monotonic() - begun_s < QUICK.picture_s + 10
    assert "no picture in 3 s" in error.problem


def test_f14_a_trickle_is_no_video(ts: bytes):
    with senders.listening(senders.drip(ts)) as port:
        assert "data came, but no picture" in loss(f"tcp://127.0.0.1:{port}").problem


def test_f14_a_stream_that_ends_is_lost_and_not_the_end_of_the_examination(ts: bytes):
    with senders.listening(senders.sends(ts)) as port:
        grabber = open_live(f"tcp://127.0.0.1:{port}", QUICK)
        count = 0
        with pytest.raises(SourceError, match="closed by the sender"):
            while grabber.grab() is not None:
                count += 1
        with pytest.raises(SourceError, match="closed"):
            grabber.grab()
        grabber.close()
    assert count > 50


def test_f14_waits_double_up_to_five_seconds_without_end_and_start_anew():
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_f14_damage_on_the_way_is_marked_and_the_stream_goes_on(ts: bytes):
    rng, hurt = np.random.default_rng(1), bytearray(ts)
    for place in rng.integers(len(ts) // 3, len(ts) // 2, 40):
        hurt[place] ^= 0xFF
    with senders.listening(senders.sends(bytes(hurt), then=senders.silent)) as port:
        grabber = open_live(f"tcp://127.0.0.1:{port}", QUICK)
        pictures = [grabber.grab() for _ in range(45)]
        grabber.close()
    assert any(p.damage for p in pictures) and not pictures[0].damage and not pictures[-1].damage


def test_f35_a_hundred_lost_streams_leave_no_descriptor(ts: bytes):
    fds = Path("/proc/self/fd")
    with senders.listening(senders.sends(ts[:20_000])) as port:
        loss(f"tcp://127.0.0.1:{port}")
        before = len(list(fds.iterdir()))
        for _ in range(100):
            loss(f"tcp://127.0.0.1:{port}")
        threading.Event().wait(0.2)  # the sender's side closes in its own thread
        assert len(list(fds.iterdir())) <= before + 2


@pytest.mark.parametrize("scheme", ["tcp", "rtsp"])
def test_close_from_another_thread_ends_a_grab_under_way(ts: bytes, scheme: str):
    ended = threading.Event()

    def take_all() -> None:
        with pytest.raises(SourceError):
            while True:
                grabber.grab()
        ended.set()

    with (
        senders.rtsp(senders.DEMO) as source,
        senders.listening(senders.sends(ts, then=senders.silent)) as plain,
        senders.listening(senders.relays(source, 60_000, then=senders.silent)) as relay,
    ):
        place = f"127.0.0.1:{plain}" if scheme == "tcp" else f"127.0.0.1:{relay}/clip"
        grabber = open_live(f"{scheme}://{place}", PATIENT if scheme == "tcp" else QUICK)
        reader = threading.Thread(target=take_all)
        reader.start()
        grabber.close()
        grabber.close()
        reader.join(8)
        assert ended.is_set()


def shifted(ts: bytes, ticks: int) -> bytes:
    """Return MPEG-TS with its time moved, made anew from the packets."""
    target = io.BytesIO()
    with av.open(io.BytesIO(ts)) as source, av.open(target, "w", format="mpegts") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = stream
                out.mux(packet)
    return target.getvalue()


def test_f19_source_time_that_goes_back_and_leaps_passes_through(ts: bytes):
    leap = 24 * 3600 * 90_000
    joined = ts + shifted(ts, leap) + ts
    with senders.listening(senders.sends(joined, then=senders.silent)) as port:
        grabber = open_live(f"tcp://127.0.0.1:{port}", QUICK)
        pictures = [grabber.grab() for _ in range(170)]
        grabber.close()
    steps = [b.pts_ns - a.pts_ns for a, b in itertools.pairwise(pictures)]
    assert max(steps) > 23 * 3600e9 and min(steps) < -23 * 3600e9
    captured = [picture.captured_ns for picture in pictures]
    assert captured == sorted(captured)
