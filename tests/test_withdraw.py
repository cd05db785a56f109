"""Facts about answers that are taken back."""

import sqlite3

import pytest

from stream.config import AnalysisConfig
from stream.session.journal import Journal
from stream.session.ledger import balances
from stream.session.record import Recorder
from tests.frames import make_frame, make_prediction
from tests.tiny_model import SPEC


@pytest.fixture
def recorded(tmp_path):
    """Record four frames, confirm, record four more with higher scores, withdraw, seal."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        recorder = Recorder(journal, SPEC, AnalysisConfig(top_k=2))
        for seq in range(8):
            if seq == 4:
                recorder.confirm()
            recorder.add(make_frame(seq), make_prediction(seq, 0.6 + 0.04 * seq))
        count = recorder.withdraw("the probe failed")
        recorder.seal()
    return recorder, count, path


def rows(path, query):
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_f07_answers_since_the_last_good_probe_are_marked_in_the_journal(recorded):
    _, count, path = recorded
    found = rows(path, "SELECT seq, state, probs IS NULL, label FROM frames ORDER BY seq")
    assert count == 4
    assert [row[1] for row in found] == ["ok"] * 4 + ["withdrawn"] * 4
    assert [row[2:] for row in found[4:]] == [(1, "")] * 4


def test_f07_no_withdrawn_frame_is_a_key_frame_or_part_of_the_verdict(recorded):
    recorder, _, path = recorded
    assert {seq for (seq,) in rows(path, "SELECT seq FROM ranked")} <= {0, 1, 2, 3}
    verdict = recorder.tracker.verdict()
    assert (verdict.valid, verdict.total) == (4, 8)


def test_f07_withdrawn_frames_stay_in_the_ledger(recorded):
    totals = recorded[0].ledger.totals()
    assert balances(totals)
    assert (totals["grabbed"], totals["analysed"], totals["failed_infer"]) == (8, 4, 4)


def test_f07_the_journal_says_when_and_why(recorded):
    events = rows(recorded[2], "SELECT seq, text FROM events WHERE kind = 'withdrawn'")
    assert events == [(7, "4 answers taken back: the probe failed")]


def test_f07_no_event_says_that_a_withdrawn_frame_was_kept(recorded):
    kept = rows(recorded[2], "SELECT seq FROM events WHERE kind = 'kept'")
    assert {seq for (seq,) in kept} == {0, 1, 2, 3}
    doubted = rows(recorded[2], "SELECT seq FROM events WHERE kind = 'kept, withdrawn'")
    assert [seq for (seq,) in doubted] == [4, 5, 6, 7]


def test_f07_the_mark_is_on_disk_before_key_frames_are_written(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        recorder = Recorder(journal, SPEC, AnalysisConfig())
        recorder.add(make_frame(0), make_prediction(0, 0.9))
        recorder.withdraw("the probe failed")
        assert rows(path, "SELECT state FROM frames") == [("withdrawn",)]
