"""Faults of the disk under a running session: live AI goes on, and nothing counts as recorded
that is not."""

import pytest

from stream.live.recorder.recorder import STOP_SHARE, WARN_SHARE
from stream.session.content import read_content
from tests.live_session import LiveSession, titles
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)


def storing(tmp_path, options, **changes):
    """Return a session whose recorder's disk misbehaves as `tests.live_disks` says."""
    source, model = f"fake:steady?{options}", save_tiny(tmp_path)
    return LiveSession(tmp_path / "s", model, source, module="tests.live_disks", **changes)


def keeps_current(live, seconds):
    """Watch for so long; return whether a result could be drawn all the time."""
    views = []
    with pytest.raises(AssertionError, match="not in"):
        live.until(lambda view: views.append(view.current), seconds)
    return len(views) > 10 * seconds and all(views)


def counted_rows(live):
    """Return how many frames the ledger says were answered; the journal has as many rows."""
    ledger = live.ledger()
    count = ledger["analysed"] + ledger["failed_infer"] + ledger["invalid_frame"]
    assert live.rows("SELECT count(*) FROM frames") == [(count,)]
    return count


def test_f27_a_filling_disk_warns_then_stops_recording_while_ai_goes_on(tmp_path):
    assert (WARN_SHARE, STOP_SHARE) == (0.10, 0.02)
    with storing(tmp_path, "free=9&when=2&then=1", record=True) as live:
        live.until_current()
        live.until_banner("DISK")
        assert live.status.roles["recorder"].facts["warning"] == "9% of the disk is free"
        live.until_banner("RECORDING STOPPED")
        before = {path.name for path in live.folder.iterdir()}
        assert keeps_current(live, 1)
        assert before == {path.name for path in live.folder.iterdir()}, "nothing is deleted"
        live.stop()
        assert live.ledger()["not_recorded"] >= 15 and counted_rows(live) >= 15
        assert live.manifest.partial and not live.manifest.complete
        assert "only 1.0% of the disk is free" in live.manifest.problems[0]
        assert read_content(live.folder, live.manifest).partial


def test_f27_a_real_file_size_limit_stops_recording_and_the_report_says_partial(tmp_path):
    with storing(tmp_path, "bytes=300000") as live:
        live.until_current()
        live.until_banner("RECORDING STOPPED", 60)
        assert keeps_current(live, 1)
        live.stop()
        assert live.ledger()["not_recorded"] >= 15 and counted_rows(live) >= 1
        assert live.manifest.partial and not live.manifest.complete
        assert read_content(live.folder, live.manifest).partial


def test_f28_after_one_failed_commit_a_new_journal_holds_all_but_that(tmp_path):
    with storing(tmp_path, "eio=15") as live:
        live.until_current()
        live.until_banner("DISK")
        lost_from = live.seen_results[-1].seq
        assert keeps_current(live, 1)
        assert "DISK" in titles(live.watch()), "the alarm stays"
        live.stop()
        ledger = live.ledger()
        assert 1 <= ledger["not_recorded"] <= 15, "what the failed commit held, and no more"
        lost = live.rows("SELECT first_seq, reason FROM losses WHERE name = 'not_recorded'")
        assert [reason for _, reason in lost] == ["they could not be written"]
        assert lost[0][0] <= lost_from and counted_rows(live) > 40
        assert (live.folder / "journal-failed-1.sqlite").is_file(), "nothing is deleted"
        assert live.rows("SELECT count(*) FROM events WHERE kind = 'storage'") == [(1,)]
        assert live.manifest.partial and "[F28] journal: disk I/O" in live.manifest.problems[0]


def test_f28_a_disk_that_goes_on_failing_stops_recording_and_is_not_believed(tmp_path):
    with storing(tmp_path, "eios=15") as live:
        live.until_current()
        live.until_banner("RECORDING STOPPED")
        assert keeps_current(live, 1)
        live.stop()
        assert live.ledger()["not_recorded"] >= 15 and counted_rows(live) >= 15
        assert live.rows("SELECT * FROM ledger") == [], "nothing is written after the failure"
        assert live.manifest.partial and not live.manifest.complete


def test_f29_a_disk_that_stalls_for_5_s_disturbs_nobody_and_its_buffer_is_bounded(tmp_path):
    with storing(tmp_path, "stall=12&queue=10") as live:
        live.until_current()
        recorder = live.pid("recorder")
        assert keeps_current(live, 7), "live does not wait for the disk"
        assert live.pid("recorder") == recorder, "it is not killed for that"
        assert live.status.roles["recorder"].standing == "up"
        live.stop()
        assert 60 <= live.ledger()["not_recorded"] <= 160, "5 s less two queues of ten"
        reasons = live.rows("SELECT DISTINCT reason FROM losses WHERE name = 'not_recorded'")
        assert reasons == [("answers were lost on the way to the recorder",)]
        assert counted_rows(live) > 20 and live.manifest.partial
