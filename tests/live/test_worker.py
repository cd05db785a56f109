"""Faults of the worker and its engine in a running live session: F01 to F08."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack

import numpy as np
import pytest

from stream.clock import MS, now_ns
from stream.replay import finish
from tests.live_engines import ASKED_AGAIN, ILL
from tests.live_session import LiveSession, titles
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)

BANNER_S, FRESH_S = 0.5, 3.0
SLACK_S = 0.3  # a busy machine's, beside bounds of the product
LOAD_S = 1.5  # to load the tiny model on a busy machine; a quiet one takes 0.1
PERIOD_NS = 33_333_333


@pytest.fixture
def live(tmp_path):
    """Start sessions whose engines misbehave; they end with the test."""
    model = save_tiny(tmp_path)
    with ExitStack() as stack:

        def start(engine, source="fake:steady", **changes):
            changes = {"module": "tests.live_engines"} | changes
            folder = tmp_path / "session"
            return stack.enter_context(LiveSession(folder, model, source, engine=engine, **changes))

        yield start


def until_banner(session, title, limit_s=20.0):
    """Watch until a banner shows; return it. What may be drawn meanwhile is never out of date."""

    def shown(view):
        if view.current:
            age_ns = now_ns() - session.viewing._newest.result.captured_ns
            assert age_ns <= session.config.freshness_ms * MS + 50 * MS
        return title in titles(view)

    session.until(shown, limit_s)
    return next(one for one in session.watch().banners if one.title == title)


def until_worker(session, number):
    """Watch until a result of this worker may be drawn; return the seconds that it took."""
    return session.until(
        lambda view: view.current and session.viewing._newest.result.worker == number
    )


def watch_for(session, seconds):
    """Watch for a while; return how many results came meanwhile."""
    before, until = len(session.seen_results), time.monotonic() + seconds
    while time.monotonic() < until:
        session.watch()
    return len(session.seen_results) - before


def fall_ill(session):
    """Let the engine misbehave from now on."""
    (session.folder / ILL).touch()


def states(session):
    """Return how many frames the journal has in each state."""
    return dict(session.rows("SELECT state, count(*) FROM frames GROUP BY state"))


def reasons(session, state):
    return [row[0] for row in session.rows(f"SELECT reason FROM frames WHERE state = '{state}'")]


def events(session, kind):
    return [row[0] for row in session.rows(f"SELECT text FROM events WHERE kind = '{kind}'")]


def test_f01_a_killed_worker_is_down_at_once_and_replaced(live):
    session = live("sound")
    session.until_current()
    watch_for(session, 0.5)
    last, killed_ns = session.seen_results[-1], now_ns()
    session.kill("worker")
    assert session.until(lambda view: "AI DOWN" in titles(view)) <= BANNER_S + SLACK_S
    assert session.until_current() <= FRESH_S + LOAD_S
    fresh = session.viewing._newest.result
    assert fresh.captured_ns > killed_ns and fresh.worker == last.worker + 1
    session.stop()
    assert events(session, "restart") == ["worker: ended by SIGKILL"]
    assert session.ledger()["transport_gap"] > 0


def test_f02_a_worker_that_hangs_is_replaced_and_its_stack_is_in_the_log(live):
    session = live("hangs?told=1&below=1")
    session.until_current()
    fall_ill(session)
    until_banner(session, "AI DOWN")  # its engine does not return
    assert until_worker(session, 1) <= FRESH_S + LOAD_S
    assert "in hangs" in session.printed()
    printed = len((session.folder / "live.log").read_text())
    session.kill("worker", signal.SIGSTOP)
    assert session.until(lambda view: "AI DOWN" in titles(view)) <= BANNER_S + SLACK_S
    assert until_worker(session, 2) <= FRESH_S + LOAD_S
    assert "most recent call first" in (session.folder / "live.log").read_text()[printed:]
    session.stop()
    assert events(session, "restart") == ["worker: gave no sign of life"] * 2
    session.ledger()


def test_f03_the_age_of_a_result_is_bounded_by_a_slow_engine_and_does_not_grow(live):
    engine_ms = 100
    session = live(f"slow?ms={engine_ms}")
    session.until_current()
    session.seen_results.clear()
    watch_for(session, 3.0)
    results = session.seen_results
    engine_ns = np.array([result.engine_ns for result in results])
    ages_ns = np.array([result.done_ns - result.captured_ns for result in results])
    assert engine_ns.min() >= 0 and len(results) >= 15
    bound_ns = 2 * max(engine_ms * MS, np.median(engine_ns)) + 2 * PERIOD_NS
    assert np.quantile(ages_ns, 0.95) <= bound_ns, ages_ns / MS
    halves_ns = [np.median(half) for half in np.array_split(ages_ns, 2)]
    assert halves_ns[1] <= halves_ns[0] + PERIOD_NS
    gaps = np.diff([result.seq for result in results])
    assert np.median(gaps) in (3, 4)  # the newest frame each time
    session.stop()
    ledger = session.ledger()
    assert ledger["skipped_by_policy"] > ledger["analysed"] and ledger["capture_drop"] == 0


def test_f04_after_the_fifth_try_the_ai_is_off_with_the_cause_until_it_is_reset(live):
    session = live("raises?below=5")
    banner = until_banner(session, "AI OFF", 40)
    assert banner.cause == "RuntimeError: this plug-in raises at load"
    frames, tick = len(session.seen_frames), session.viewing.scene(now_ns()).tick
    watch_for(session, 1.5)
    scene = session.viewing.scene(now_ns())
    assert len(session.seen_frames) - frames > 20 and scene.tick > tick  # the video goes on
    assert scene.picture is not None and scene.verdict is None
    assert session.status.roles["worker"].restarts == 5
    session.order("reset")
    session.until_current()
    session.stop()
    assert events(session, "latched") == ["worker: RuntimeError: this plug-in raises at load"]
    assert len(events(session, "restart")) == 4
    assert session.ledger()["transport_gap"] > 20


def test_f05_memory_that_runs_out_costs_a_frame_and_a_smaller_setting_is_tried(live):
    session = live("limit?told=1&below=1")
    session.until_current()
    pid = session.pid("worker")
    fall_ill(session)
    until_banner(session, "NO RESULT")
    session.until_current()
    watch_for(session, 0.5)
    assert session.pid("worker") == pid, "the smaller setting was tried in the same process"
    session.stop()
    assert states(session)["failed_infer"] == session.ledger()["failed_infer"] == 1
    assert "out of memory" in reasons(session, "failed_infer")[0]
    assert not session.manifest.partial, "no answer was in doubt"


def test_f05_memory_that_runs_out_always_ends_as_a_worker_that_cannot_start(live):
    session = live("memory?always=1")
    banner = until_banner(session, "AI OFF", 40)
    assert "out of memory" in banner.cause
    frames = len(session.seen_frames)
    watch_for(session, 0.5)
    assert len(session.seen_frames) > frames
    session.stop()
    ledger = session.ledger()
    workers = len(events(session, "worker"))  # the first may be gone before the recorder is there
    assert workers >= 4 and ledger["failed_infer"] == 2 * workers, "each tried twice"
    assert ledger["analysed"] == 0 and events(session, "latched")


def test_f06_a_worker_is_replaced_at_the_first_device_error(live):
    session = live("device?told=1&below=1")
    session.until_current()
    fall_ill(session)
    until_banner(session, "AI WITHDRAWN")
    session.until_current()
    session.stop()
    assert not (session.folder / ASKED_AGAIN).exists(), "the process asked its device again"
    assert reasons(session, "failed_infer") == ["error[F06] fake: illegal address"]
    assert events(session, "restart") == ["worker: illegal address"]
    ledger = session.ledger()
    assert ledger["failed_infer"] == 1 + states(session)["withdrawn"]


def test_f07_answers_since_the_last_good_probe_are_withdrawn_everywhere(live):
    session = live("noise?told=1&below=1&period=1.5")
    session.until_current()
    session.until(lambda view: session.seen_results[-1].number >= 60)  # the second probe was good
    fall_ill(session)
    watch_for(session, 0.5)
    session.kill("recorder", signal.SIGSTOP)  # it will not hear that answers are withdrawn
    assert "known-answer probe" in until_banner(session, "AI WITHDRAWN").cause
    scene = session.viewing.scene(now_ns())
    assert scene.verdict is None and len(scene.strip.value) == 0
    doubted = max(result.seq for result in session.seen_results if result.worker == 0)
    session.kill("recorder")
    session.until(lambda view: session.status.roles["recorder"].restarts == 1)
    session.until_current()
    watch_for(session, 0.5)
    session.stop()
    rows = session.rows("SELECT seq, state, probs, label FROM frames ORDER BY seq")
    taken = [row for row in rows if row[1] == "withdrawn"]
    first = taken[0][0]
    assert len(taken) >= 10, "those between the last good probe and the recorder's end"
    assert all(row[2:] == (None, "") for row in taken)
    assert {row[1] for row in rows if first <= row[0] <= doubted} == {"withdrawn"}
    assert {row[1] for row in rows if row[0] < first or row[0] > doubted} == {"ok"}
    assert sum(row[0] < first for row in rows) >= 20, "the probe before had confirmed these"
    assert sum(row[0] > doubted for row in rows) > 0, "the next worker is believed"
    keys = [row[0] for row in session.rows("SELECT seq FROM ranked")]
    kept = [row[0] for row in session.rows("SELECT seq FROM events WHERE kind = 'kept'")]
    assert keys and not [seq for seq in keys + kept if first <= seq <= doubted]
    check_withdrawn_report(session, len(taken))


def check_withdrawn_report(session, withdrawn):
    """Check ledger, manifest and report of a session from which answers were withdrawn."""
    ledger, manifest = session.ledger(), session.manifest
    assert ledger["failed_infer"] == withdrawn
    assert manifest.partial and manifest.problems[0].startswith("[F07] known-answer probe")
    assert manifest.verdict.valid == ledger["analysed"]
    finish(session.folder, manifest)
    page = (session.folder / "report" / "index.html").read_text()
    assert "answers since the last good probe withdrawn" in page


def test_f07_an_engine_that_goes_wrong_just_before_the_end_is_found_out(live):
    session = live("noise")
    session.until_current()
    watch_for(session, 1.0)
    session.stop()
    assert set(states(session)) == {"withdrawn"} and session.manifest.partial
    session.ledger()


def test_f08_three_unusable_answers_in_a_row_withdraw_the_ai(live):
    session = live("nan?told=1&below=1")
    session.until_current()
    fall_ill(session)
    assert "3 frames in a row" in until_banner(session, "AI WITHDRAWN").cause
    session.until_current()
    session.stop()
    assert len(reasons(session, "failed_infer")) == 3
    assert all("[F08]" in reason for reason in reasons(session, "failed_infer"))
    values = "".join(row[0] or "" for row in session.rows("SELECT probs FROM frames"))
    assert "null" not in values and "nan" not in values.lower()
    session.ledger()


def test_f08_two_unusable_answers_cost_two_frames_and_no_worker(live):
    session = live("infinite?told=1&count=2")
    session.until_current()
    fall_ill(session)
    until_banner(session, "NO RESULT")
    session.until_current()
    watch_for(session, 0.3)
    session.stop()
    assert session.ledger()["failed_infer"] == 2 and events(session, "restart") == []
    assert set(states(session)) == {"ok", "failed_infer"}
