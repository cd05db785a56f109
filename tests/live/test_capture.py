"""Faults of the source and of capture in a running live session: F10 to F19, F34 to F36."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from engines.open import DEMO_MODEL
from stream.clock import MS, now_ns
from stream.live.viewer.freshness import stalled_after_ns
from tests import live_senders as senders
from tests.live_cameras import HOUR_NS
from tests.live_session import LiveSession
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
    away_s = 3.6
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
    assert cause.startswith("reopened after ") and cause.endswith(" s without pictures")
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
