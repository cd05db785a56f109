"""Facts about the work list and about what is found in a tree."""

import errno
import os

import pytest

from stream.archive import scan as scanning
from stream.archive.plan import check_places
from stream.archive.pool import share_cores
from stream.archive.records import Found, Outcome, Settings
from stream.archive.scan import digest_of, scan, session_name
from stream.archive.worklist import WorkList
from stream.config import AnalysisConfig
from stream.errors import SourceError, StorageError, UsageError
from stream.hold import held
from tests.archive_runs import plant
from tests.test_archive_eyes import SOUND

SETTINGS = Settings(
    model="m",
    engine="e",
    engine_model="m",
    config=AnalysisConfig(),
    stream_index=None,
    explain=None,
    report=True,
)
DONE = Outcome(state="done", sha256="old", facts=SOUND)


@pytest.fixture
def work(tmp_path):
    with WorkList(tmp_path) as work:
        yield work


def found(path=b"a.mp4", size=10, mtime_ns=1):
    return Found(path, "file", size, mtime_ns)


def never(recording):
    raise AssertionError("its digest is not needed")


def states(work):
    return [row.state for row in work.rows()]


def test_the_largest_recording_is_taken_first_and_none_twice(work):
    work.sync([found(b"a", 1), found(b"b", 3), found(b"c", 2)], never)
    taken = [work.take("process 1") for _ in range(4)]
    assert [task and task.recording.path for task in taken] == [b"b", b"c", b"a", None]


def test_what_ran_when_everything_was_killed_waits_again(work):
    work.sync([found()], never)
    work.take("process 1")
    work.sync([found()], never)
    assert states(work) == ["todo"]


def test_a_recording_is_given_up_when_its_worker_was_lost_twice(work):
    work.sync([found()], never)
    assert [work.give_back(b"a.mp4", "ended by SIGKILL") for _ in range(2)] == [True, False]
    (row,) = work.rows()
    assert (row.state, row.text) == ("failed", "ended by SIGKILL, tried 2 times")


def test_a_done_recording_is_done_again_only_when_its_digest_changed(work):
    work.sync([found()], never)
    work.finish(b"a.mp4", DONE)
    assert work.sync([found()], never).changed == ()
    assert work.sync([found(mtime_ns=2)], lambda _: "old").changed == ()
    assert states(work) == ["done"]
    assert work.sync([found(size=11)], lambda _: "new").changed == (b"a.mp4",)
    assert states(work) == ["todo"] and work.rows()[0].facts is None


def test_recordings_that_come_and_go_are_told_once(work):
    assert work.sync([found(b"a"), found(b"b")], never).added == (b"a", b"b")
    assert work.sync([found(b"b"), found(b"c")], never)[::2] == ((b"c",), (b"a",))
    assert work.sync([found(b"b"), found(b"c")], never).removed == ()
    assert [row.removed for row in work.rows()] == [True, False, False]
    assert work.count("todo") == 2


def test_only_a_retry_takes_up_what_failed(work):
    work.sync([found()], never)
    work.finish(b"a.mp4", Outcome(state="unusable", exit_code=3, fault="V02", text="no video"))
    work.sync([found()], never)
    assert states(work) == ["unusable"]
    work.retry()
    assert states(work) == ["todo"]


def test_other_settings_are_refused_with_what_differs(work):
    work.settle(b"/in", SETTINGS)
    work.settle(b"/in", SETTINGS)
    with pytest.raises(UsageError, match=r'C08.*made with engine "e", now "f"'):
        work.settle(b"/in", Settings(**{**_fields(SETTINGS), "engine": "f"}))


def test_a_damaged_work_list_is_a_storage_error(tmp_path):
    (tmp_path / "archive.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="cannot be used"):
        WorkList(tmp_path)


def test_f25_a_held_archive_names_the_process_that_holds_it(tmp_path):
    with (
        held(tmp_path, "works on this archive"),
        pytest.raises(StorageError, match=rf"F25.*process {os.getpid()} works on"),
        held(tmp_path, "works on this archive"),
    ):
        pass
    with held(tmp_path, "works on this archive"):
        pass


def test_session_names_depend_on_the_path_alone_and_are_harmless():
    names = [session_name(path) for path in (b"a/b.mp4", b"a-b.mp4", b"a/b.avi", b"../\xff\n.mp4")]
    assert len(set(names)) == 4 and names[0] == session_name(b"a/b.mp4")
    assert all(name.replace("-", "").isalnum() for name in names)
    assert len(session_name(b"x" * 255)) < 80


def test_a_tree_is_read_as_replay_reads_it(tmp_path):
    root = plant(tmp_path / "in", clips=1)
    (root / ".hidden.mp4").touch()
    (root / "loop").symlink_to(root)
    (root / "broken.mp4").symlink_to(root / "absent")
    os.mkfifo(root / "pipe.mp4")
    recordings = {item.path: item for item in scan(root)}
    assert set(recordings) == {
        b"broken.mp4", b"pipe.mp4", b"stills", b"text.mp4", b"ward/=2/-cut.mp4", b"ward/clip0.mp4",
    }  # fmt: skip
    assert recordings[b"broken.mp4"].size == -1 and recordings[b"stills"].kind == "stills"
    assert digest_of(root, recordings[b"pipe.mp4"]) == ""


def test_v21_a_root_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for name in ("file", "absent"):
        with pytest.raises(SourceError, match="V21"):
            scan(tmp_path / name)


def test_v21_a_folder_that_cannot_be_listed_is_a_row_of_its_own(tmp_path, work, monkeypatch):
    root = plant(tmp_path / "in", clips=1)
    error = PermissionError(errno.EACCES, "Permission denied", str(root / "locked"))
    monkeypatch.setattr(scanning, "_refusals", lambda root: [error])
    for _ in range(2):
        work.sync(scan(root), never)
    row = next(row for row in work.rows() if row.recording.path == b"locked")
    assert (row.state, row.fault, row.exit_code) == ("unusable", "V21", 3)
    assert row.text == "cannot be listed (Permission denied)"


@pytest.mark.parametrize("out", [".", "out", "../in", "../in/deep/er"])
def test_c08_output_inside_the_input_is_refused(tmp_path, out):
    root = plant(tmp_path / "in", clips=1)
    before = sorted(root.rglob("*"))
    with pytest.raises(UsageError, match=r"C08.*inside"):
        check_places(root, root / out)
    assert sorted(root.rglob("*")) == before


def test_c08_a_folder_that_holds_something_else_is_refused(tmp_path):
    root = plant(tmp_path / "in", clips=1)
    (tmp_path / "out" / "work").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"C08.*no archive"):
        check_places(root, tmp_path / "out")


def test_c08_input_among_the_sessions_is_refused(tmp_path):
    root = plant(tmp_path / "out" / "sessions" / "in", clips=1)
    with pytest.raises(UsageError, match=r"C08.*among the sessions"):
        check_places(root, tmp_path / "out")


@pytest.mark.parametrize(
    ("cores", "workers", "shares"),
    [
        ([0, 1], 2, [(0,), (1,)]),
        ([0, 1], 1, [(0, 1)]),
        ([2, 3, 5, 7, 8], 2, [(2, 3), (5, 7)]),
        ([4, 6], 3, [(4,), (6,), (4,)]),
    ],
)
def test_workers_share_the_cores(cores, workers, shares):
    assert share_cores(cores, workers) == shares


def _fields(settings):
    return {name: getattr(settings, name) for name in Settings.__struct_fields__}
