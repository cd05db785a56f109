"""Facts about replay and verify: real clips, real engines, real journals."""

import resource
import sqlite3
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.config import AnalysisConfig
from stream.errors import SourceError, StorageError
from stream.replay import make_folder, record_clip, replay_clip
from stream.session.compare import first_difference
from stream.session.content import read_content
from stream.session.ledger import balances
from stream.session.manifest import read_manifest
from stream.verify import verify_session
from tests.clips import write_clip
from tests.jobs import open_job
from tests.tiny_model import save_tiny


@pytest.fixture
def job(tmp_path):
    job = open_job(save_tiny(tmp_path), tmp_path / "engines")
    yield job
    job.engine.close()


@pytest.fixture
def clip(tmp_path):
    return str(write_clip(tmp_path / "clip.mp4", 45))


def quiet(source):
    pass


def query(folder, sql):
    db = sqlite3.connect(folder / "journal.sqlite")
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def test_every_frame_has_a_row_with_its_exact_time(job, clip, tmp_path):
    folder = record_clip(clip, job, tmp_path / "out", quiet).folder
    rows = query(folder, "SELECT seq, pts_ns, state FROM frames ORDER BY seq")
    assert [(seq, state) for seq, _, state in rows] == [(i, "ok") for i in range(45)]
    assert all(abs(pts_ns - seq * 1e9 / 30) <= 1 for seq, pts_ns, _ in rows)


def test_the_ledger_balances_and_counts_skipped_frames(job, clip, tmp_path):
    every = replace(job, config=AnalysisConfig(every=4))
    manifest = record_clip(clip, every, tmp_path / "out", quiet).manifest
    assert balances(manifest.ledger)
    assert (manifest.ledger["grabbed"], manifest.ledger["analysed"]) == (45, 12)
    assert manifest.ledger["skipped_by_policy"] == 33


def test_the_same_clip_gives_the_same_journal(job, clip, tmp_path):
    folders = [record_clip(clip, job, tmp_path / "out", quiet).folder for _ in range(2)]
    assert folders[0] != folders[1]
    assert first_difference(*(folder / "journal.sqlite" for folder in folders)) is None


def test_a_session_holds_journal_manifest_and_report(job, clip, tmp_path):
    result = replay_clip(clip, job, tmp_path / "out", quiet)
    names = {path.relative_to(result.folder).as_posix() for path in result.folder.rglob("*.*")}
    ((kept,),) = query(result.folder, "SELECT count(*) FROM ranked")
    kinds = ("", "_plain", "_map")
    panels = {f"report/frame_{rank}{kind}.png" for rank in range(1, kept + 1) for kind in kinds}
    tables = {"report/index.html", "report/predictions.csv", "report/report.json"}
    assert kept >= 2
    assert names == {"journal.sqlite", "manifest.json"} | tables | panels
    assert set(result.manifest.files) == names - {"manifest.json"}


def test_verify_says_that_an_untouched_session_stands(job, clip, tmp_path):
    assert verify_session(replay_clip(clip, job, tmp_path / "out", quiet).folder) == []


def test_verify_names_the_row_of_one_changed_digit(job, clip, tmp_path):
    folder = replay_clip(clip, job, tmp_path / "out", quiet).folder
    db = sqlite3.connect(folder / "journal.sqlite")
    (probs,) = db.execute("SELECT probs FROM frames WHERE seq = 17").fetchone()
    digit = probs[3]
    changed = probs[:3] + ("1" if digit != "1" else "2") + probs[4:]
    db.execute("UPDATE frames SET probs = ? WHERE seq = 17", (changed,))
    db.commit()
    db.close()
    findings = verify_session(folder)
    assert "journal.sqlite: changed or missing since it was sealed" in findings
    assert any("epoch 0 seq 17: probs is" in finding for finding in findings)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"label": "', '"label": "not ', "verdict.label"),
        ('"threshold": 0.5', '"threshold": 0.9', "model.spec.threshold"),
        ('"numpy": "', '"numpy": "9', "versions.numpy"),
    ],
)
def test_verify_names_a_forged_field_of_the_manifest(job, clip, tmp_path, old, new, field):
    folder = replay_clip(clip, job, tmp_path / "out", quiet).folder
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace(old, new))
    assert any(f"manifest.json: {field} is" in finding for finding in verify_session(folder))


def test_verify_refuses_a_manifest_without_a_whole_ledger(job, clip, tmp_path):
    folder = record_clip(clip, job, tmp_path / "out", quiet).folder
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"grabbed"', '"gathered"'))
    with pytest.raises(StorageError, match="damaged: ledger"):
        verify_session(folder)


def test_verify_says_that_a_session_without_its_report_was_never_sealed(job, clip, tmp_path):
    folder = record_clip(clip, job, tmp_path / "out", quiet).folder
    assert verify_session(folder) == ["the session was never sealed: its report was not finished"]


def test_verify_names_a_changed_report_file(job, clip, tmp_path):
    folder = replay_clip(clip, job, tmp_path / "out", quiet).folder
    with (folder / "report" / "predictions.csv").open("a") as file:
        file.write("1")
    findings = verify_session(folder)
    assert findings[0] == "report/predictions.csv: changed or missing since it was sealed"


def test_verify_finds_a_changed_input(job, clip, tmp_path):
    folder = replay_clip(clip, job, tmp_path / "out", quiet).folder
    write_clip(Path(clip), 44)
    assert any("input.info.sha256" in finding for finding in verify_session(folder))


def test_an_unusable_clip_leaves_nothing_behind(job, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(SourceError):
        replay_clip(str(tmp_path / "bad.mp4"), job, tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_session_keeps_what_it_had(job, clip, tmp_path):
    seen = []

    def interrupt(source):
        seen.append(source)
        if len(seen) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay_clip(clip, job, tmp_path / "out", interrupt)
    folder = tmp_path / "out" / "clip"
    manifest = read_manifest(folder)
    assert not manifest.complete and manifest.ledger["grabbed"] == 20
    assert query(folder, "SELECT count(*) FROM frames") == [(20,)]


def test_f27_a_full_disk_keeps_what_was_recorded_and_says_it_is_not_complete(job, clip, tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    seen = []

    def fill_the_disk(source):
        seen.append(source)
        if len(seen) == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limit[1]))

    try:
        with pytest.raises(StorageError) as caught:
            record_clip(clip, job, tmp_path / "out", fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert caught.value.exit_code == 6
    assert not read_manifest(tmp_path / "out" / "clip").complete


def test_the_key_frame_keeps_its_colours_and_its_map_points_at_the_red_patch(job, tmp_path):
    folder = tmp_path / "stills"
    folder.mkdir()
    for number in range(3):
        image_bgr = np.random.default_rng(number).integers(40, 60, (96, 128, 3)).astype(np.uint8)
        image_bgr[:24, 96:] = (10, 20, 250)
        cv2.imwrite(str(folder / f"{number}.png"), image_bgr)
    session = replay_clip(str(folder), job, tmp_path / "out", quiet)
    key = read_content(session.folder, session.manifest).key_frames[0]
    y, x = np.unravel_index(key.saliency.argmax(), key.saliency.shape)
    assert key.image[16, 112].tolist() == [250, 20, 10]
    assert y < 24 and x >= 96


def test_frames_that_are_not_believed_are_neither_labelled_nor_ranked(job, tmp_path):
    folder = tmp_path / "stills"
    folder.mkdir()
    for number in range(4):
        grey = np.random.default_rng(number).integers(0, 200, (96, 96)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), grey if number % 2 else np.zeros_like(grey))
    session = replay_clip(str(folder), job, tmp_path / "out", quiet)
    states = query(session.folder, "SELECT seq, state, label = '' FROM frames")
    assert states == [(i, "ok" if i % 2 else "no_signal", int(i % 2 == 0)) for i in range(4)]
    assert {seq for (seq,) in query(session.folder, "SELECT seq FROM ranked")} == {1, 3}
    assert session.manifest.verdict.valid == 2


def test_events_say_which_frames_were_kept(job, clip, tmp_path):
    folder = record_clip(clip, job, tmp_path / "out", quiet).folder
    kept = {seq for (seq,) in query(folder, "SELECT seq FROM events WHERE kind = 'kept'")}
    assert kept >= {seq for (seq,) in query(folder, "SELECT seq FROM ranked")}


def test_v06_a_cut_clip_is_reported_as_partial(job, tmp_path):
    clip = write_clip(tmp_path / "cut.mp4", 90)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    result = replay_clip(str(clip), job, tmp_path / "out", quiet)
    assert result.exit_code == 4 and result.manifest.partial
    assert "PARTIAL" in (result.folder / "report" / "index.html").read_text().upper()


def test_v17_a_size_change_starts_a_new_epoch_in_the_journal(job, tmp_path):
    folder = tmp_path / "stills"
    folder.mkdir()
    for number in range(6):
        size = 96 if number < 3 else 128
        image = np.random.default_rng(number).integers(20, 200, (size, size)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    session = replay_clip(str(folder), job, tmp_path / "out", quiet).folder
    assert query(session, "SELECT epoch, seq FROM frames") == [(i // 3, i) for i in range(6)]
    assert query(session, "SELECT seq, kind FROM events WHERE kind = 'format_changed'") == [
        (3, "format_changed")
    ]


@pytest.mark.parametrize("name", ["-rf.mp4", "a b\nc.mp4", "%05d.mp4", "ünï.mp4", "../../x.mp4"])
def test_v23_folder_names_are_harmless(tmp_path, name):
    folder = make_folder(tmp_path, name)
    assert folder.parent == tmp_path and folder.name.replace("-", "").replace("_", "").isalnum()


def test_an_existing_session_is_never_touched(tmp_path):
    names = [make_folder(tmp_path, "clip.mp4").name for _ in range(3)]
    assert names == ["clip", "clip-2", "clip-3"]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        make_folder(tmp_path / "file" / "out", "clip.mp4")
