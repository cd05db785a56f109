"""Facts about the journal, on real SQLite files."""

import sqlite3
from contextlib import closing

import pytest

from stream.errors import StorageError
from stream.session.compare import first_difference
from stream.session.journal import EventRow, FrameRow, Journal, RankedRow


def row(seq, **changes):
    values = {
        "epoch": 0,
        "seq": seq,
        "pts_ns": seq * 40,
        "time_ns": seq * 40,
        "state": "ok",
        "reason": "",
        "probs": "[0.25,0.75]",
        "smoothed": "[0.5,0.5]",
        "label": "red",
        "distance": 0.5,
        "captured_ns": 1,
        "preprocess_ns": 2,
        "engine_ns": 3,
    }
    return FrameRow(**(values | changes))


def write(path, rows):
    with Journal(path) as journal:
        for each in rows:
            journal.add_frame(each)
        journal.add_event(EventRow(0, 1, "kept", "into a free place"))
        journal.seal(
            [RankedRow(1, 0, 1, 40, 0.5, "{}", None, b"png", "[1]", b"cam")], {"grabbed": 3}
        )
    return path


def test_all_rows_are_in_one_file_after_closing(tmp_path):
    path = write(tmp_path / "j.sqlite", [row(i) for i in range(503)])
    assert [p.name for p in tmp_path.iterdir()] == ["j.sqlite"]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM frames").fetchone() == (503,)


def test_f30_rows_older_than_100_ms_are_readable_while_the_journal_is_open(tmp_path, monkeypatch):
    clock_ns = [0]
    monkeypatch.setattr("stream.session.journal.time.monotonic_ns", lambda: clock_ns[0])
    with Journal(tmp_path / "j.sqlite") as journal:
        for seq in range(30):
            clock_ns[0] = seq * 10_000_000
            journal.add_frame(row(seq))
        with closing(sqlite3.connect(tmp_path / "j.sqlite")) as reader:
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert reader.execute("SELECT count(*) FROM frames").fetchone() == (21,)


def test_timing_columns_do_not_count_as_a_difference(tmp_path):
    a = write(tmp_path / "a.sqlite", [row(0), row(1)])
    b = write(tmp_path / "b.sqlite", [row(0, engine_ns=99, captured_ns=7), row(1, preprocess_ns=5)])
    assert first_difference(a, b) is None


def test_one_changed_digit_is_found_and_its_row_named(tmp_path):
    a = write(tmp_path / "a.sqlite", [row(0), row(1, probs="[0.26,0.75]")])
    b = write(tmp_path / "b.sqlite", [row(0), row(1)])
    found = first_difference(a, b)
    assert (
        found
        == "table frames, row 1 (epoch 0 seq 1: probs is '[0.26,0.75]', expected '[0.25,0.75]')"
    )


def test_a_missing_row_is_found(tmp_path):
    a, b = write(tmp_path / "a.sqlite", [row(0)]), write(tmp_path / "b.sqlite", [row(0), row(1)])
    assert first_difference(a, b) == "table frames: 1 rows, expected 2"


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError) as caught:
        Journal(tmp_path / "absent" / "j.sqlite")
    assert caught.value.exit_code == 6


def test_a_file_that_is_no_journal_is_named(tmp_path):
    good = write(tmp_path / "good.sqlite", [row(0)])
    (tmp_path / "bad.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match=r"bad\.sqlite: .*damaged or no journal"):
        first_difference(tmp_path / "bad.sqlite", good)
