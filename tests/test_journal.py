"""Facts about the journal, on real SQLite files."""

import sqlite3

import pytest

from stream.errors import StorageError
from stream.session.journal import BATCH, EventRow, FrameRow, Journal, RankedRow, first_difference


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
    path = write(tmp_path / "j.sqlite", [row(i) for i in range(2 * BATCH + 3)])
    assert [p.name for p in tmp_path.iterdir()] == ["j.sqlite"]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM frames").fetchone() == (
        2 * BATCH + 3,
    )


def test_an_open_journal_is_in_wal_mode_and_readable(tmp_path):
    with Journal(tmp_path / "j.sqlite") as journal:
        for i in range(BATCH):
            journal.add_frame(row(i))
        reader = sqlite3.connect(tmp_path / "j.sqlite")
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert reader.execute("SELECT count(*) FROM frames").fetchone() == (BATCH,)
        reader.close()


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


def test_a_file_that_is_no_journal_is_a_storage_error(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError):
        first_difference(tmp_path / "a.sqlite", tmp_path / "a.sqlite")
