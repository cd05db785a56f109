"""Limits of a live session: rates, shared memory, descriptors, processors (F18, F34 to F36)."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack

import numpy as np
import pytest

from stream.clock import MS, now_ns
from stream.live.capture.grabbing import CAPACITY, Grabbing
from stream.sources.live import backoff
from stream.sources.live.open import LiveOptions, open_live
from tests import live_senders as senders
from tests.clips import write_clip
from tests.live_cameras import count_descriptors
from tests.live_fakes import FakeSource
from tests.live_session import LiveSession, titles
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def live(tmp_path):
    """Start sessions over fake sources; they end with the test."""
    model = save_tiny(tmp_path)
    with ExitStack() as stack:

        def start(source, model=model, **changes):
            changes = {"module": "tests.live_cameras"} | changes
            return stack.enter_context(LiveSession(tmp_path / "session", model, source, **changes))

        yield start


def epochs(session):
    """Return how many epochs the journal knows."""
    return session.rows("SELECT count(*) FROM epochs")[0][0]


@pytest.mark.parametrize(("source", "rate_hz"), [("steady", 15), ("steady", 120), ("shakes", 30)])
def test_f18_the_measured_rate_is_shown_and_queues_are_bounded(live, source, rate_hz):
    session = live(f"fake:{source}?rate={rate_hz}", roles=("capture", "worker"))
    session.until_current()
    session.until(lambda _: session.seen_frames[-1].seq > 34)
    first = next(header for header in session.seen_frames if header.seq > 12)
    shown = dict(session.viewing.scene(now_ns()).hud)["capture"]
    last = session.seen_frames[-1]
    real_hz = (last.seq - first.seq) * 1e9 / (last.captured_ns - first.captured_ns)
    assert float(shown.removesuffix(" fps")) == pytest.approx(real_hz, rel=0.1)
    assert real_hz == pytest.approx(rate_hz, rel=0.15), "the fake kept its pace"
    ages_ms = [(one.done_ns - one.captured_ns) / MS for one in session.seen_results]
    assert np.median(ages_ms[-20:]) < 100, "a queue grew before the worker"


def test_f18_what_nobody_takes_is_counted_and_does_not_pile_up():
    counts = [0]
    source = FakeSource({"rate": 400})
    grabbing = Grabbing(lambda: source, lossless=False, counted=counts.append)
    until_s = time.monotonic() + 20
    while counts[-1] < 60 and time.monotonic() < until_s:
        assert len(grabbing._items) <= CAPACITY
    delivered = grabbing.take(1.0)
    grabbing.close()
    assert delivered.number >= 60 - CAPACITY
    assert counts == list(range(len(counts)))


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
    counts = [count_descriptors(pid) for _ in range(20) if session.watch()]
    assert session.pid("capture") == pid and session.status.roles["capture"].restarts == 0
    session.stop()
    assert max(counts) - min(counts) <= 1, "the device itself comes and goes"
    assert epochs(session) >= 60
    session.ledger()


def test_f35_sixty_connections_leave_no_descriptor(tmp_path, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    clip = senders.as_ts(write_clip(tmp_path / "clip.mp4", 4))
    options = LiveOptions(open_s=10, silence_s=10, picture_s=10)
    with senders.listening(senders.sends(clip)) as port:
        address = f"tcp://127.0.0.1:{port}"
        grabbing = Grabbing(
            lambda: open_live(address, options), lossless=False, counted=lambda _: None
        )
        counts, last = [], -1
        until_s = time.monotonic() + 60
        while last < 60 and time.monotonic() < until_s:
            delivered = grabbing.take(1.0)
            if delivered is not None and delivered.opening.number != last:
                last = delivered.opening.number
                counts.append(count_descriptors())
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
