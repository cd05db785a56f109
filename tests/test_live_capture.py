"""Faults of the source and of capture in a running live session: F10 to F19, F34 to F36."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from engines.open import DEMO_MODEL
from stream.clock import MS, now_ns
from stream.live.freshness import stalled_after_ns
from stream.live.grabbing import CAPACITY, Grabbing
from stream.sources.live import backoff
from stream.sources.live.open import LiveOptions, open_live
from tests import live_senders as senders
from tests.clips import write_clip
from tests.live_cameras import HOUR_NS
from tests.live_fakes import FakeSource
from tests.live_session import LiveSession, titles
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)

SECRET = "s3cret-w0rd"
SLACK_S = 0.3  # a busy machine's, beside bounds of the product
CLOSED_OR_REFUSED = ("closed by the sender", "refused: nothing listens at that port")


@pytest.fixture
def live(tmp_path):
    """Start sessions over fake sources; they end with the test."""
    model = save_tiny(tmp_path)
    with ExitStack() as stack:

        def start(source, model=model, **changes):
            changes = {"module": "tests.live_cameras"} | changes
            return stack.enter_context(LiveSession(tmp_path / "session", model, source, **changes))

        yield start


def banner(session, title):
    """Return a banner that is shown now."""
    return next(one for one in session.watch().banners if one.title == title)


def epochs(session):
    """Return number, cause and first seq of the epochs in the journal."""
    return session.rows("SELECT epoch, cause, first_seq FROM epochs ORDER BY epoch")


def events(session, kind):
    """Return seq and text of events in the journal."""
    return session.rows(f"SELECT seq, text FROM events WHERE kind = '{kind}' ORDER BY number")


def gap_s(session):
    """Return how long there was no picture between the first two epochs."""
    query = "SELECT epoch, min(captured_ns), max(captured_ns) FROM frames GROUP BY epoch"
    (_, _, last_ns), (_, first_ns, _), *_ = session.rows(f"{query} ORDER BY epoch")
    return (first_ns - last_ns) / 1e9


def until_epoch(session, epoch, limit_s=20.0):
    """Watch until a result of an epoch may be drawn."""
    return session.until(
        lambda view: view.current and session.seen_frames[-1].epoch == epoch, limit_s
    )


def test_f10_a_killed_capture_leaves_no_video_and_a_new_epoch_within_two_seconds(live):
    session = live("fake:steady")
    session.until_current()
    session.kill("capture")
    killed_s = time.monotonic()
    assert session.until_banner("NO VIDEO") < 0.5
    assert not session.watch().current
    session.until(lambda _: session.seen_frames[-1].epoch == 1)
    assert time.monotonic() - killed_s < 2.0
    until_epoch(session, 1)
    session.stop()
    rows = session.rows("SELECT seq FROM frames ORDER BY epoch, seq")
    assert rows == sorted(set(rows)), "a seq was used twice, or went back"
    assert [cause for _, cause, _ in epochs(session)] == ["started", "reopened"]
    assert any("SIGKILL" in text for _, text in events(session, "restart"))
    session.ledger()


@pytest.mark.parametrize("source", ["fake:blocks", "fake:camera?blocks=1"])
def test_f11_a_read_that_never_returns_is_left_to_a_new_process(live, source):
    session = live(source)
    session.until_current()
    first = session.pid("capture")
    session.kill("capture", signal.SIGUSR2)
    session.until_banner("VIDEO STALLED")
    late_s = (now_ns() - session.seen_frames[-1].captured_ns) / 1e9
    assert late_s < stalled_after_ns(session.seen_frames[-1].period_ns) / 1e9 + SLACK_S
    assert not session.watch().current
    session.until_banner("NO VIDEO")
    assert banner(session, "NO VIDEO").cause
    until_epoch(session, 1)
    assert session.pid("capture") != first
    session.stop()
    assert gap_s(session) < 3.0
    assert events(session, "no video")
    session.ledger()


def test_f12_a_repeated_buffer_is_no_new_picture(live):
    session = live("fake:camera?repeats=1")
    session.until_current()
    session.kill("capture", signal.SIGUSR2)
    session.until_banner("VIDEO STALLED")
    last = session.seen_frames[-1].seq
    session.until(lambda view: view.current and session.seen_frames[-1].seq > last)
    session.stop()
    rows = session.rows("SELECT seq, pts_ns FROM frames")
    assert all(pts_ns == (seq + 1) * MS for seq, pts_ns in rows), "a repeat was counted"
    assert len(epochs(session)) == 1
    session.ledger()


def test_f13_a_device_that_returns_shows_within_two_seconds(live):
    away_s = 4.0
    session = live(f"fake:vanishes?away={away_s}")
    session.until_current()
    session.kill("capture", signal.SIGUSR2)
    session.until_banner("NO VIDEO")
    assert "the device was removed" in banner(session, "NO VIDEO").cause
    until_epoch(session, 1)
    assert session.status.roles["capture"].restarts == 0
    session.stop()
    assert away_s - SLACK_S < gap_s(session) < away_s + 2.0
    cause = epochs(session)[1][1]
    assert cause.startswith("reopened after 4.") and cause.endswith(" s without pictures")
    assert [text for _, text in events(session, "no video")] == [
        "capture: error[F13] fake source: the device was removed"
    ]
    session.ledger()


def test_f14_a_sender_that_goes_and_comes_back_is_no_end_and_no_secret_shows(live):
    port = senders.free_port()
    target = f"tcp://127.0.0.1:{port}?listen=1"
    address = f"tcp://nurse:{SECRET}@127.0.0.1:{port}"
    said = []
    with senders.ffmpeg(senders.DEMO, target):
        session = live(address, mask=True)
        session.until_current()
    session.until_banner("NO VIDEO")
    cause = banner(session, "NO VIDEO").cause
    assert any(known in cause for known in CLOSED_OR_REFUSED)
    session.until(lambda view: CLOSED_OR_REFUSED[1] in view.banners[0].cause)
    with senders.ffmpeg(senders.DEMO, target):
        until_epoch(session, 1)
        said += [str(session.status), *map(str, session.seen_frames[-1:])]
        for role in ("capture", "worker", "recorder"):
            said.append(Path(f"/proc/{session.pid(role)}/cmdline").read_text())
    session.stop()
    assert "reopened after" in epochs(session)[1][1]
    assert CLOSED_OR_REFUSED[1] in "".join(text for _, text in events(session, "no video"))
    kept = [path.read_bytes() for path in session.folder.rglob("*") if path.is_file()]
    assert len(kept) >= 3
    assert not any(SECRET.encode() in data or b"nurse" in data for data in kept)
    assert SECRET not in "".join(said) and "127.0.0.1" in said[0]
    session.ledger()


def test_f15_a_frozen_scanner_is_no_alarm_and_fills_no_key_frames(live):
    first_still = 44
    session = live(f"fake:freezes?after={first_still + 1}")
    session.until_banner("IMAGE FROZEN")
    for _ in range(30):
        view = session.watch()
        assert not [one for one in view.banners if one.level == "alarm"]
        assert view.current, "a still picture is one all the same"
    session.stop()
    query = f"SELECT count(*) FROM ranked WHERE seq >= {first_still}"
    assert session.rows(query)[0][0] <= 1
    kept = [seq for seq, _ in events(session, "kept") if seq >= first_still]
    assert len(kept) <= 1
    assert len(epochs(session)) == 1 and events(session, "frozen")
    session.ledger()


def test_f16_flat_bars_and_text_have_a_banner_and_never_a_class(live):
    session = live("fake:menus", DEMO_MODEL, mask=True)
    session.until_current()
    for title, word in (
        ("NO SIGNAL", "flat"),
        ("NOT AN IMAGE", "vividly"),
        ("NOT AN IMAGE", "not like"),
    ):
        session.kill("capture", signal.SIGUSR2)
        session.until(
            lambda view, title=title, word=word: any(
                one.title == title and word in one.cause for one in view.banners
            )
        )
        assert not session.watch().current
    session.stop()
    menus = f"FROM frames WHERE pts_ns >= {HOUR_NS}"
    later = session.rows(f"SELECT state, label, smoothed {menus}")
    assert {state for state, _, _ in later} == {"uniform", "not_ultrasound"}
    assert {(label, smoothed) for _, label, smoothed in later} == {("", None)}
    assert session.ledger()["invalid_frame"] == len(later)
    assert session.rows(f"SELECT count(*) FROM ranked WHERE seq IN (SELECT seq {menus})") == [(0,)]


@pytest.mark.parametrize(("source", "rate_hz"), [("steady", 15), ("steady", 120), ("shakes", 30)])
def test_f18_the_measured_rate_is_shown_and_queues_are_bounded(live, source, rate_hz):
    session = live(f"fake:{source}?rate={rate_hz}", roles=("capture", "worker"))
    session.until_current()
    session.until(lambda _: session.seen_frames[-1].seq > 45)
    first = next(header for header in session.seen_frames if header.seq > 12)
    shown = dict(session.viewing.scene(now_ns()).hud)["capture"]
    last = session.seen_frames[-1]
    real_hz = (last.seq - first.seq) * 1e9 / (last.captured_ns - first.captured_ns)
    assert float(shown.removesuffix(" fps")) == pytest.approx(real_hz, rel=0.1)
    assert real_hz == pytest.approx(rate_hz, rel=0.15), "the fake kept its pace"
    ages_ms = [(one.done_ns - one.captured_ns) / MS for one in session.seen_results]
    assert np.median(ages_ms[-20:]) < 100, "a queue grew before the worker"


def test_f18_what_nobody_takes_is_counted_and_does_not_pile_up():
    grabbing = Grabbing(lambda: FakeSource({"rate": 400}), lossless=False)
    until_s = time.monotonic() + 20
    while grabbing.count < 60 and time.monotonic() < until_s:
        assert len(grabbing._items) <= CAPACITY
    delivered = grabbing.take(1.0)
    grabbing.close()
    assert delivered.number >= 60 - CAPACITY


def test_f19_the_sources_time_orders_and_ages_nothing(live):
    session = live("fake:wanders?rate=60")
    session.until_current()
    session.until(lambda _: session.seen_frames[-1].seq > 110)
    session.stop()
    assert [seq for seq, _ in events(session, "discontinuity")] == [29, 59, 89, 90]
    assert len(epochs(session)) == 1
    rows = session.rows("SELECT seq, time_ns, captured_ns FROM frames ORDER BY seq")
    assert np.all(np.diff(np.array(rows), axis=0) > 0)
    assert all(one.done_ns >= one.captured_ns for one in session.seen_results)
    session.ledger()


def test_f34_too_little_shared_memory_is_refused_before_anything_starts(tmp_path):
    command = [sys.executable, "-m", "stream.cli", "live", "phantom:kidney", "--no-window"]
    limited = ["bash", "-c", 'ulimit -f 1024; exec "$@"', "bash", *command]
    done = subprocess.run(
        [*limited, "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=60
    )
    needed, present = 4096 + 8 * 4096 * 4096 * 3, 1024 * 1024
    assert done.returncode == 6, done.stderr
    text = " ".join(done.stderr.split())
    assert f"{needed} bytes needed, {present} present" in text and "[F34]" in text
    assert not (tmp_path / "out").exists()


def test_f34_too_little_memory_for_the_pictures_ends_the_session_by_name(live):
    session = live("fake:steady?memory=1000")
    session.thread.join(20)
    assert session.ending.status == 6
    needed = 4096 + 8 * 160 * 120 * 3
    assert f"{needed} bytes needed" in session.ending.cause and "present" in session.ending.cause


def test_f35_sixty_openings_of_a_device_leave_no_descriptor(live):
    session = live("fake:camera?rate=200&after=2&dies=1&retry=0.01&descriptors=24")
    session.until(lambda _: session.seen_frames and session.seen_frames[-1].epoch >= 2)
    pid, counts = session.pid("capture"), []
    session.until(lambda _: session.seen_frames[-1].epoch >= 60, 40)
    counts = [len(os.listdir(f"/proc/{pid}/fd")) for _ in range(20) if session.watch()]
    assert session.pid("capture") == pid and session.status.roles["capture"].restarts == 0
    session.stop()
    assert max(counts) - min(counts) <= 1, "the device itself comes and goes"
    assert len(epochs(session)) >= 60
    session.ledger()


def test_f35_sixty_connections_leave_no_descriptor(tmp_path, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    clip = senders.as_ts(write_clip(tmp_path / "clip.mp4", 4))
    options = LiveOptions(open_s=10, silence_s=10, picture_s=10)
    with senders.listening(senders.sends(clip)) as port:
        address = f"tcp://127.0.0.1:{port}"
        grabbing = Grabbing(lambda: open_live(address, options), lossless=False)
        counts, last = [], -1
        until_s = time.monotonic() + 60
        while last < 60 and time.monotonic() < until_s:
            delivered = grabbing.take(1.0)
            if delivered is not None and delivered.opening.number != last:
                last = delivered.opening.number
                counts.append(len(os.listdir("/proc/self/fd")))
        grabbing.close(10)
    assert last >= 60
    assert np.median(counts[-10:]) <= np.median(counts[:10]) + 2


def test_f36_a_starved_processor_makes_it_slower_and_never_stale(live):
    session = live("fake:steady", roles=("recorder", "capture", "worker"))
    session.until_current()
    limit_ns = session.config.freshness_ms * MS
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    shown = 0
    try:
        until_s = time.monotonic() + 3
        while time.monotonic() < until_s:
            before_ns = now_ns()
            view = session.watch()
            shown += view.current
            if view.current:
                newest = max(one.captured_ns for one in session.seen_results)
                assert before_ns - newest <= limit_ns, "a stale result would be drawn"
            assert view.current or view.banners, "a result is withdrawn without a word"
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    session.until_current()
    assert shown and "AI DOWN" not in titles(session.watch())
    assert {one.restarts for one in session.status.roles.values()} == {0}
    session.stop()
    session.ledger()
