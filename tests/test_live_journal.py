"""A live journal, cut and damaged: what is read is true, what is missing is named."""

import numpy as np
import pytest

from stream.errors import StorageError
from stream.session.account import Loss
from stream.session.digests import row_digest
from stream.session.journal import EventRow, FrameRow, RankedRow, damage_of, open_reading
from stream.session.live_journal import (
    EpochRow,
    LiveJournal,
    RecordedRow,
    count_ledger,
    settled_until,
)

pytestmark = pytest.mark.timeout(120)
COMMITS, ROWS, FOLDED = 40, 20, 30
"""Commits of so many frames each; so many of them lie in the main file, the others in the log."""
TABLES = ("frames", "losses", "events", "epochs", "recorded", "ranked")


def frame(seq):
    values = f"[0.{seq:04d},0.5]"
    return FrameRow(0, seq, seq * 40, seq * 40, "ok", "", values, values, "red", 0.25, 1, 2, 3)


def key_frame(commit):
    picture = np.random.default_rng(commit).bytes(3000)
    return RankedRow(1, 0, commit * ROWS, 9, 0.5, "{}", None, picture, "[1]", b"cam", None, b"f")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Return the bytes of file and log of a journal that is being written, and its true rows."""
    path = tmp_path_factory.mktemp("running") / "journal.sqlite"
    journal = LiveJournal(path)
    journal._db.execute("PRAGMA wal_autocheckpoint=0")
    ends = []
    for commit in range(COMMITS):
        first = commit * ROWS
        for seq in range(first, first + ROWS - 1):
            journal.add_frame(frame(seq))
        journal.add_losses([Loss(first + ROWS - 1, first + ROWS - 1, "transport_gap", "test")])
        journal.add_event(EventRow(0, first, "kept", f"commit {commit}"))
        journal.add_epoch(EpochRow(commit, first, 0, "[1,1]", "[]", "[]", "test"))
        journal.add_recorded(RecordedRow(0, first, "video.mkv", commit))
        journal.save_ranked([key_frame(commit)])
        journal.flush()
        if commit == FOLDED - 1:
            journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ends.append(path.with_name("journal.sqlite-wal").stat().st_size)
    whole, log = path.read_bytes(), path.with_name("journal.sqlite-wal").read_bytes()
    truth = read(path)
    journal.abandon()
    assert len(truth["frames"]) == COMMITS * (ROWS - 1)
    return whole, log, truth, ends[FOLDED:]


def read(path):
    with open_reading(path) as db:
        assert count_ledger(db, 800)["grabbed"] == 800
        return {
            table: {tuple(row) for row in db.execute(f"SELECT * FROM {table}")} for table in TABLES
        }


def reopen(folder, whole, log):
    """Return what a reader finds, or None where it says that the file is damaged."""
    path = folder / "journal.sqlite"
    for old in folder.glob("journal.sqlite*"):
        old.unlink()
    path.write_bytes(whole)
    path.with_name("journal.sqlite-wal").write_bytes(log)
    try:
        return read(path)
    except StorageError as error:
        assert "damaged" in str(error)
        return None


def is_true(found, truth):
    """Nothing but true rows; key frames and their picture are replaced, so any true one will do."""
    keys = {row_digest("ranked", key_frame(commit)) for commit in range(COMMITS)}
    rows = {row_digest("ranked", row) for row in found["ranked"]}
    return rows <= keys and all(found[name] <= truth[name] for name in TABLES if name != "ranked")


def test_f30_a_log_cut_anywhere_keeps_every_commit_before_the_cut(running, tmp_path):
    whole, log, truth, ends = running
    cuts = [
        *range(0, 200),
        *range(200, len(log), 1499),
        *(end + d for end in ends for d in (-1, 0)),
    ]
    for cut in cuts:
        found = reopen(tmp_path, whole, log[:cut])
        synced = (FOLDED + sum(end <= cut for end in ends)) * (ROWS - 1)
        assert found is not None and is_true(found, truth), cut
        assert len(found["frames"]) >= synced, f"cut at {cut}: lost what was synced"
        kept = {row[1] for row in found["frames"]}
        assert kept == {seq for seq in range(max(kept) + 1) if seq % ROWS < ROWS - 1}


def test_f30_a_file_cut_anywhere_never_gives_a_wrong_row(running, tmp_path):
    whole, log, truth, _ = running
    results = [reopen(tmp_path, whole[:cut], log) for cut in range(0, len(whole), 1009)]
    found = [one for one in results if one is not None]
    assert found and all(is_true(one, truth) for one in found)


@pytest.mark.parametrize("part", ["file", "log"])
def test_f30_a_flipped_byte_never_gives_a_wrong_row(running, tmp_path, part):
    whole, log, truth, _ = running
    readable = complete = 0
    rng = np.random.default_rng(5)
    size = len(whole if part == "file" else log)
    places = [*range(0, 100, 7), *rng.integers(0, size, 250)]
    for place in places:
        data = bytearray(whole if part == "file" else log)
        data[place] ^= 1 << int(rng.integers(8))
        found = reopen(tmp_path, *((data, log) if part == "file" else (whole, data)))
        if found is None:
            continue
        assert is_true(found, truth), place
        readable += 1
        complete += found["frames"] == truth["frames"]
    assert readable > 0.95 * len(places) and complete < readable


def test_f30_a_damaged_row_is_left_out_and_named(running, tmp_path):
    whole, _, truth, _ = running
    path = tmp_path / "journal.sqlite"
    wrong = whole.replace(b"[0.0021,0.5]", b"[0.9021,0.5]")
    assert wrong != whole
    found = reopen(tmp_path, wrong, b"")
    assert {row[1] for row in truth["frames"]} - {row[1] for row in found["frames"]} >= {21}
    with open_reading(path) as db:
        assert damage_of(db) == {"frames": 1}
        until = settled_until(db)
        assert count_ledger(db, until)["not_recorded"] == 1


def test_f30_a_recorder_that_goes_on_deletes_damaged_rows(running, tmp_path):
    whole, _, _, _ = running
    path = tmp_path / "journal.sqlite"
    path.write_bytes(whole.replace(b"[0.0021,0.5]", b"[0.9021,0.5]"))
    journal = LiveJournal(path)
    assert journal.gaps(60) == [(21, 21)]
    journal.add_losses([Loss(21, 21, "not_recorded", "rows are missing")])
    journal.close()
    with open_reading(path) as db:
        assert damage_of(db) == {} and count_ledger(db, 60)["not_recorded"] == 1


def test_f30_withdrawn_answers_have_digests_too(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = LiveJournal(path)
    for seq in range(4):
        journal.add_frame(frame(seq))
        journal.add_event(EventRow(0, seq, "kept", "into a free place"))
    journal.withdraw(2, 3, "wrong")
    journal.close()
    with open_reading(path) as db:
        assert damage_of(db) == {}
        rows = db.execute("SELECT state FROM frames ORDER BY seq").fetchall()
        assert [row["state"] for row in rows] == ["ok", "ok", "withdrawn", "withdrawn"]


def test_f30_every_commit_of_a_live_journal_is_synced(tmp_path):
    journal = LiveJournal(tmp_path / "journal.sqlite")
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.abandon()
