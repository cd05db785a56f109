"""Facts about many clips: one is ended in a thread while the next is analysed."""

import threading
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from stream.errors import SourceError, StorageError
from stream.recording import Recording, Result
from stream.replay import analyse_clip, end_with_report, replay_clips
from stream.session.content import read_content
from stream.session.journal import count_rows
from stream.session.manifest import JOURNAL, read_manifest
from stream.sources.sandbox import SandboxedSource
from stream.verify import verify_session
from tests.clips import write_clip
from tests.jobs import open_job
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    job = open_job(save_tiny(folder), folder / "engines")
    yield job
    job.engine.close()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [str(write_clip(folder / f"{name}.mp4", 12)) for name in "abc"]


def analyse(job, out, clip, ahead, on_frame=lambda source: None):
    return analyse_clip(clip, job, out, on_frame, ahead)


def names(outcomes):
    return [outcome.folder.name for outcome in outcomes if isinstance(outcome, Result)]


def test_sessions_are_whole_and_come_in_the_order_of_their_clips(job, clips, tmp_path):
    outcomes = list(replay_clips(clips, job, partial(analyse, job, tmp_path), end_with_report))
    assert names(outcomes) == ["a", "b", "c"]
    assert [verify_session(outcome.folder) for outcome in outcomes] == [[], [], []]


def test_a_clip_is_ended_while_the_next_is_analysed(job, clips, tmp_path):
    second = threading.Event()

    def note(clip, ahead):
        def tick(source):
            if clip == clips[1]:
                second.set()

        return analyse(job, tmp_path, clip, ahead, tick)

    def end(recording):
        assert second.wait(30)
        return recording.seal()

    assert names(replay_clips(clips[:2], job, note, end)) == ["a", "b"]


def test_a_bad_clip_is_told_before_the_next_one_is_begun(job, clips, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    begun = []

    def note(clip, ahead):
        begun.append(clip)
        return analyse(job, tmp_path, clip, ahead)

    found = replay_clips([clips[0], str(bad), clips[1]], job, note, Recording.seal)
    with closing(found):
        assert names([next(found)]) == ["a"]
        assert isinstance(next(found), SourceError)
        assert begun == [clips[0], str(bad)]
        assert names(found) == ["b"]


def test_f27_a_disk_found_full_at_an_end_stops_it_and_the_clip_under_way_is_ended(
    job, clips, tmp_path
):
    def end(recording):
        result = recording.seal()
        if result.folder.name == "a":
            raise StorageError(str(result.folder), "no space left")
        return result

    outcomes = list(replay_clips(clips, job, partial(analyse, job, tmp_path), end))
    assert isinstance(outcomes[0], StorageError) and names(outcomes) == ["b"]
    assert not (tmp_path / "c").exists()


def test_f31_ctrl_c_after_the_last_frame_loses_no_row(job, clips, tmp_path, monkeypatch):
    close = SandboxedSource.close

    def interrupt(source):
        close(source)
        raise KeyboardInterrupt

    monkeypatch.setattr(SandboxedSource, "close", interrupt)
    with pytest.raises(KeyboardInterrupt):
        analyse_clip(clips[0], job, tmp_path, lambda source: None)
    assert read_manifest(tmp_path / "a").ledger["grabbed"] == count_rows(tmp_path / "a" / JOURNAL)
    assert read_manifest(tmp_path / "a").ledger["grabbed"] == 12


def test_f31_ctrl_c_with_explanations_explains_nothing_more(job, clips, tmp_path):
    explained = []

    def explain(model_input):
        explained.append(len(explained))
        return np.zeros(model_input.shape[:2], np.float32)

    def interrupt(clip, ahead):
        def tick(source):
            if clip == clips[1]:
                raise KeyboardInterrupt

        return analyse(replace(job, explain=explain), tmp_path, clip, ahead, tick)

    with pytest.raises(KeyboardInterrupt):
        list(replay_clips(clips, replace(job, explain=explain), interrupt, Recording.seal))
    whole = read_content(tmp_path / "a", read_manifest(tmp_path / "a"))
    assert len(explained) == len(whole.key_frames)


def test_f31_ctrl_c_leaves_the_clip_before_whole_and_says_how_far_this_one_came(
    job, clips, tmp_path
):
    def interrupt(clip, ahead):
        def tick(source):
            if clip == clips[1]:
                raise KeyboardInterrupt

        return analyse(job, tmp_path, clip, ahead, tick)

    with pytest.raises(KeyboardInterrupt):
        list(replay_clips(clips, job, interrupt, end_with_report))
    assert verify_session(tmp_path / "a") == []
    manifest = read_manifest(tmp_path / "b")
    assert not manifest.complete and manifest.ledger["grabbed"] == 1
