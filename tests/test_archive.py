"""Facts about the archive: real recordings, real workers, real kills."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import msgspec
import psutil
import pytest

from stream.archive.records import Task
from stream.archive.scan import scan, session_name
from stream.errors import StorageError
from stream.hold import held
from stream.session.manifest import read_manifest, write_manifest
from stream.verify import verify_session
from tests.archive_plans import make_plan
from tests.archive_runs import (
    ROOT,
    copy,
    family,
    first_unlike,
    kill,
    plant,
    run,
    sessions,
    start,
    until,
    workers,
)
from tests.clips import write_clip
from tests.tiny_model import save_tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with the tree `in` and an undisturbed archive of it, without reports."""
    folder = tmp_path_factory.mktemp("archive")
    plant(folder / "in")
    save_tiny(folder)
    status, said = run(folder / "in", folder / "out", folder / "tiny.onnx", "--no-report")
    assert status == 4, said
    return folder


def again(place, out, *flags):
    return run(place / "in", out, place / "tiny.onnx", "--no-report", *flags)


def read_table(out):
    with (out / "table.csv").open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def states(out):
    db = sqlite3.connect(out / "archive.sqlite")
    try:
        return dict(db.execute("SELECT CAST(path AS TEXT), state FROM recordings"))
    finally:
        db.close()


def stamps(out):
    return {folder.name: folder.stat().st_ctime_ns for folder in sessions(out)}


def test_every_recording_has_a_row_and_every_usable_one_a_session(place):
    table = read_table(place / "out")
    assert {path: row["why"].partition(":")[0] for path, row in table.items()} == {
        "text.mp4": "unusable [V02]",
        "ward/=2/-cut.mp4": "partial",
        "stills": "no finding",
        "ward/clip0.mp4": "no finding",
        "ward/clip1.mp4": "no finding",
        "ward/clip2.mp4": "no finding",
    }
    assert [row["rank"] for row in table.values()] == list("123456")
    assert table["ward/clip2.mp4"]["frames"] == "14" and table["stills"]["frames"] == "3"
    assert table["ward/clip2.mp4"]["duration_s"] == "0.467"  # 14 frames at 30 a second
    assert len(sessions(place / "out")) == 5


def test_one_worker_gives_the_same_table_and_sessions_as_several(place, tmp_path):
    status, _ = again(place, tmp_path / "out", "--workers", "1")
    assert status == 4 and first_unlike(place / "out", tmp_path / "out") is None


def test_a_second_run_repeats_nothing_and_leaves_the_same_table(place):
    table, before = (place / "out" / "table.csv").read_bytes(), stamps(place / "out")
    status, said = again(place, place / "out")
    assert status == 4 and "5 of 6 recordings analysed" in said
    assert stamps(place / "out") == before
    assert (place / "out" / "table.csv").read_bytes() == table


def test_sessions_come_with_reports_and_stand_and_rows_come_as_json(place, tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    write_clip(root / "a.mp4", 5)
    status, said = run(root, tmp_path / "out", place / "tiny.onnx", "--json")
    (row,) = json.loads(said)["recordings"]
    assert verify_session(sessions(tmp_path / "out")[0]) == []
    assert status == 0 and (tmp_path / "out" / row["report"]).is_file()
    assert (row["path"], row["frames"]) == ("a.mp4", 5)


def test_new_changed_and_removed_recordings_are_taken_up(place, tmp_path):
    root, out = copy(place / "in", tmp_path / "in"), tmp_path / "out"
    model = place / "tiny.onnx"
    run(root, out, model, "--no-report")
    before = stamps(out)
    write_clip(root / "ward" / "clip0.mp4", 20)
    write_clip(root / "new.mp4", 9)
    (root / "ward" / "clip1.mp4").unlink()
    os.utime(root / "ward" / "clip2.mp4")
    _, said = run(root, out, model, "--no-report")
    assert "changed since they were analysed: ward/clip0.mp4; done again" in said
    assert "no longer there: ward/clip1.mp4" in said
    table = read_table(out)
    assert table["ward/clip0.mp4"]["frames"] == "20" and table["new.mp4"]["frames"] == "9"
    assert table["ward/clip1.mp4"]["why"].endswith("the recording has been removed")
    same = {name for name, stamp in stamps(out).items() if before.get(name) == stamp}
    assert {name.rpartition("-")[0] for name in same} == {
        "ward-2--cut", "stills", "ward-clip1", "ward-clip2",
    }  # fmt: skip


def forget(out):
    """Leave the work list as a kill in the midst of every recording would."""
    db = sqlite3.connect(out / "archive.sqlite")
    db.execute("UPDATE recordings SET state = 'running', facts = NULL, sha256 = ''")
    db.commit()
    db.close()


def test_a_sealed_session_without_its_row_is_recognised_and_another_one_is_not(place, tmp_path):
    out = copy(place / "out", tmp_path / "out")
    shutil.rmtree(next(out.glob("sessions/stills-*")))
    forged, whole = (next(out.glob(f"sessions/ward-clip{number}-*")) for number in (0, 1))
    manifest = read_manifest(forged)
    (forged / "journal.sqlite").write_bytes(b"")
    write_manifest(forged, manifest)
    forget(out)
    before = stamps(out)
    again(place, out, "--workers", "1")
    assert first_unlike(place / "out", out) is None
    after = stamps(out)
    assert after[whole.name] == before[whole.name] and after[forged.name] != before[forged.name]


def test_what_another_run_left_sealed_is_taken_only_as_it_was_sealed(place, tmp_path):
    out = copy(place / "out", tmp_path / "out")
    whole, forged = (next(out.glob(f"sessions/ward-clip{number}-*")) for number in (0, 1))
    for folder in (whole, forged):
        (out / "work" / "dead" / folder.name).mkdir(parents=True)
        folder.rename(out / "work" / "dead" / folder.name / "clip")
    (out / "work" / "dead" / forged.name / "clip" / "journal.sqlite").write_bytes(b"")
    forget(out)
    before = (out / "work" / "dead" / whole.name / "clip" / "journal.sqlite").stat().st_ino
    again(place, out, "--workers", "1")
    assert (whole / "journal.sqlite").stat().st_ino == before
    assert first_unlike(place / "out", out) is None and not (out / "work").exists()


STALE = """
import sys
from pathlib import Path
import msgspec
from stream.archive.analyse import open_bench
from stream.archive.records import Setup, Task
setup, task = (Path(path).read_bytes() for path in sys.argv[1:])
with open_bench(msgspec.msgpack.decode(setup, type=Setup)) as bench:
    print("ready", flush=True)
    sys.stdin.readline()
    print(bench.analyse(msgspec.msgpack.decode(task, type=Task)).state)
"""


def test_a_worker_that_outlives_its_run_spoils_nothing(tmp_path):
    """As one on another machine of a Ray cluster may, where no lock reaches."""
    plan = make_plan(tmp_path)
    root, out = plan.places.root, plan.places.out
    (recording,) = scan(root)
    messages = {"setup": plan.setup(), "task": Task(recording, session_name(recording.path))}
    for name, message in messages.items():
        (tmp_path / name).write_bytes(msgspec.msgpack.encode(message))
    command = [sys.executable, "-c", STALE, *(str(tmp_path / name) for name in messages)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as stale:
        assert stale.stdout.readline() == "ready\n"
        assert run(root, out, tmp_path / "tiny.onnx", "--no-report")[0] == 0
        before = stamps(out)
        assert stale.communicate("go\n", timeout=60)[0] == "done\n"
    assert stamps(out) == before and (out / "work").exists()
    assert run(root, out, tmp_path / "tiny.onnx", "--no-report")[0] == 0
    assert stamps(out) == before and not (out / "work").exists()


def test_f30_a_kill_of_everything_loses_no_finished_clip_and_repeats_none(place, tmp_path):
    out = tmp_path / "out"
    with start(place / "in", out, place / "tiny.onnx", "--no-report") as process:
        until(lambda: len(sessions(out)) >= 2, process)
        kill(process)
    before = stamps(out)
    assert 2 <= len(before) < 6
    again(place, out)
    assert first_unlike(place / "out", out) is None
    assert {name: stamp for name, stamp in stamps(out).items() if name in before} == before
    assert not (out / "work").exists()


def test_f33_a_killed_worker_costs_nothing_but_its_time(place, tmp_path):
    out = tmp_path / "out"
    with start(place / "in", out, place / "tiny.onnx", "--no-report", "--workers", "1") as process:
        until(lambda: sessions(out), process)
        workers(process)[0].kill()
        said = "".join(process.communicate(timeout=100))
    assert process.returncode == 4, said
    assert first_unlike(place / "out", out) is None


def test_f31_ctrl_c_says_what_is_left_and_the_next_run_goes_on(place, tmp_path):
    out = tmp_path / "out"
    with start(place / "in", out, place / "tiny.onnx", "--no-report") as process:
        until(lambda: sessions(out), process)
        left = family(process)
        process.send_signal(signal.SIGINT)
        said = "".join(process.communicate(timeout=20))
    assert process.returncode == 130 and "the same command goes on" in said
    assert psutil.wait_procs(left, timeout=5)[1] == [] and not (out / "work").exists()
    assert "not analysed yet" in (out / "table.csv").read_text()
    again(place, out)
    assert first_unlike(place / "out", out) is None


def test_f25_a_second_archive_is_refused_while_one_works(place, tmp_path):
    out = tmp_path / "out"
    with start(place / "in", out, place / "tiny.onnx", "--no-report") as process:
        until((out / "archive.sqlite").exists, process)
        status, said = again(place, out)
        kill(process)
    assert status == 6 and f"process {process.pid} works on this archive" in said


def test_other_settings_are_refused_before_any_work(place):
    table = (place / "out" / "table.csv").read_bytes()
    status, said = again(place, place / "out", "--every", "2")
    assert status == 2 and "error[C08]" in said and "made with config" in said
    assert (place / "out" / "table.csv").read_bytes() == table


def test_f32_the_archive_is_free_only_when_its_last_worker_has_gone(place, tmp_path):
    out = tmp_path / "out"
    with start(place / "in", out, place / "tiny.onnx", "--no-report", "--workers", "1") as process:
        until(lambda: sessions(out), process)
        (worker,) = workers(process)
        worker.suspend()
        process.kill()
        process.communicate()
    with pytest.raises(StorageError, match="F25"), held(out, "works on this archive"):
        pass
    worker.resume()
    assert psutil.wait_procs([worker], timeout=10)[1] == []
    with held(out, "works on this archive"):
        pass
