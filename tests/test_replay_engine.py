"""Facts about the engine of a replay: known answers, force, and what the report says of it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from engines.base import EngineOutput
from engines.errors import EngineError
from engines.probe import Watch, make_probe, reference_frames
from stream.replay import replay_clip
from stream.session.compare import first_difference
from stream.session.journal import open_reading
from stream.session.ledger import balances
from stream.session.manifest import read_manifest
from tests.clips import write_clip
from tests.jobs import open_job
from tests.tiny_model import save_tiny


class Answer:
    """An answer with red and blue changed over."""

    def __init__(self, pending):
        self.pending = pending

    def result(self):
        output = self.pending.result()
        swapped = output.probs[:, ::-1].copy()
        return EngineOutput(output.logits, swapped, output.cam, output.features)


class Failing:
    """A real engine that answers wrongly, without error, from a run on."""

    def __init__(self, engine, good_runs):
        self.engine, self.left = engine, good_runs

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def submit(self, frames):
        self.left -= 1
        pending = self.engine.submit(frames)
        return pending if self.left >= 0 else Answer(pending)


@pytest.fixture
def job(tmp_path):
    job = open_job(save_tiny(tmp_path), tmp_path / "engines")
    yield job
    job.engine.close()


@pytest.fixture
def clip(tmp_path):
    return str(write_clip(tmp_path / "clip.mp4", 45))


def watched(job, good_runs, period_s, kind=Failing):
    """Let the engine fail after `good_runs` and ask it every `period_s` of a clock of its own."""
    probe = make_probe(job.engine, reference_frames(job.engine.model.spec))
    engine = kind(job.engine, good_runs)
    ticks = iter(range(0, 10**15, 10**9))
    watch = Watch(engine, probe, period_s, clock_ns=lambda: next(ticks))
    return replace(job, engine=engine, watch=watch)


class Dying(Failing):
    """A real engine whose device fails for good from a run on."""

    def submit(self, frames):
        self.left -= 1
        if self.left < 0:
            raise EngineError("engine", "CUDA error 700", fault="F06")
        return self.engine.submit(frames)


def states(folder):
    with open_reading(folder / "journal.sqlite") as db:
        return [row["state"] for row in db.execute("SELECT state FROM frames ORDER BY seq")]


def test_f07_a_wrong_answer_ends_the_replay_and_takes_back_what_came_since(job, clip, tmp_path):
    result = replay_clip(clip, watched(job, 24, 10.0), tmp_path / "out", lambda source: None)
    found = states(result.folder)
    assert found.count("ok") > 0 and found.count("withdrawn") > 0
    assert found == sorted(found) and len(found) < 45
    assert result.exit_code == 5 and not result.manifest.complete


def test_f07_report_and_manifest_say_that_answers_were_withdrawn(job, clip, tmp_path):
    result = replay_clip(clip, watched(job, 24, 10.0), tmp_path / "out", lambda source: None)
    assert any("[F07]" in problem for problem in read_manifest(result.folder).problems)
    page = (result.folder / "report/index.html").read_text()
    assert "answers since the last good probe withdrawn" in page
    assert "answer withdrawn: the engine failed its known-answer probe" in page


def test_f07_the_last_frames_are_judged_by_a_probe_at_the_end(job, clip, tmp_path):
    result = replay_clip(clip, watched(job, 30, 1e6), tmp_path / "out", lambda source: None)
    assert states(result.folder) == ["ok"] + ["withdrawn"] * 44  # asked after the first frame
    assert result.manifest.ledger["failed_infer"] == 44


def test_f06_a_failed_device_ends_the_replay_and_answers_in_doubt_are_taken_back(
    job, clip, tmp_path
):
    dying = watched(job, 24, 1e6, Dying)
    result = replay_clip(clip, dying, tmp_path / "out", lambda source: None)
    found = states(result.folder)
    assert found[0] == "ok" and set(found[1:]) == {"withdrawn"}  # asked after the first frame
    assert result.exit_code == 5 and not result.manifest.complete
    assert result.manifest.problems[0].startswith("[F06] CUDA error 700")
    assert dying.engine.left == -1
    assert balances(result.manifest.ledger)


def test_f06_a_device_that_fails_at_the_probe_is_named_by_its_own_fault(job, clip, tmp_path):
    # 45 frames and the probe after the first of them; the one at the end fails
    dying = watched(job, 45 + 4, 1e6, Dying)
    result = replay_clip(clip, dying, tmp_path / "out", lambda source: None)
    assert result.manifest.problems[0].startswith("[F06] CUDA error 700")


def test_a_session_whose_explanation_fails_is_not_complete(job, clip, tmp_path):
    def explain(model_input):
        raise EngineError("graph", "OpenVINO failed")

    with pytest.raises(EngineError, match="OpenVINO failed"):
        replay_clip(clip, replace(job, explain=explain), tmp_path / "out", lambda source: None)
    assert not read_manifest(tmp_path / "out" / "clip").complete


def test_the_probe_changes_no_result(job, clip, tmp_path):
    plain = replay_clip(clip, job, tmp_path / "plain", lambda source: None)
    often = replay_clip(clip, watched(job, 10**6, 1.0), tmp_path / "often", lambda source: None)
    journals = [result.folder / "journal.sqlite" for result in (plain, often)]
    assert first_difference(*journals) is None


def test_a_forced_engine_is_named_in_every_report(job, clip, tmp_path):
    used = msgspec.structs.replace(
        job.model.engine, standing="forced", missed=("top-1 agreement 0.41, wanted 0.99",)
    )
    forced = replace(job, model=msgspec.structs.replace(job.model, engine=used))
    folder = replay_clip(clip, forced, tmp_path / "out", lambda source: None).folder
    warning = "Forced engine openvino fp32, not accepted by the gate: top-1 agreement 0.41"
    assert warning in (folder / "report/index.html").read_text()
    assert warning in (folder / "report/report.json").read_text()


def test_key_frames_are_explained_in_report_and_panels(job, clip, tmp_path):
    def explain(model_input):
        found = np.zeros(model_input.shape[:2], np.float32)
        found[:, :16] = 1.0
        return found

    result = replay_clip(clip, replace(job, explain=explain), tmp_path / "out", lambda source: None)
    assert result.manifest.explain == "ig"
    assert (result.folder / "report/frame_1_ig.png").is_file()
    assert "Integrated gradients for red" in (result.folder / "report/index.html").read_text()
