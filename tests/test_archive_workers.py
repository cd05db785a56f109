"""Facts about handing out recordings, and about what a worker checks before it begins."""

import random
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from engines.base import run_frames
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.errors import EngineError
from engines.load import load_model
from stream.archive.analyse import open_bench
from stream.archive.engine import describe, open_same
from stream.archive.plan import Places, Plan
from stream.archive.pool import Event, Lost
from stream.archive.records import Outcome, Ready, Refused, Task
from stream.archive.run import MAX_LOST, analyse_all
from stream.archive.scan import scan
from stream.archive.worklist import WorkList
from stream.errors import StorageError, UsageError
from tests.archive_plans import make_plan
from tests.archive_runs import first_unlike, kill, plant, run, sessions, start
from tests.test_archive_worklist import DONE, found, never
from tests.tiny_model import save_tiny

SHARED = Path("../shared/data")


@dataclass
class Scripted:
    """A pool whose workers answer by a script: one list of answers for each worker.

    Whatever they are given, a session lies where a worker would have made it.
    """

    out: Path
    script: list
    remote: bool = False
    given: list = field(default_factory=list)
    replaced: int = 0

    def __len__(self):
        return len(self.script)

    def give(self, worker, task):
        self.given.append(task.recording.path)
        (self.out / "work" / "run" / task.session / "clip").mkdir(parents=True, exist_ok=True)

    def wait(self):
        worker = next(number for number, answers in enumerate(self.script) if answers)
        return Event(worker, self.script[worker].pop(0))

    def replace(self, worker):
        self.replaced += 1

    def close(self):
        """Nothing to end."""


@pytest.fixture
def work(tmp_path):
    with WorkList(tmp_path) as work:
        work.sync([found(b"a.mp4"), found(b"b.mp4")], never)
        yield work


@pytest.fixture
def analyse(work, tmp_path):
    """Return what analyses the work list with a script; it returns the pool and all ticks."""

    def follow(*script):
        ticks = []
        pool = Scripted(tmp_path, [list(answers) for answers in script])
        analyse_all(work, pool, Plan(Places(tmp_path, tmp_path), None, None, "run"), ticks.append)
        return pool, ticks

    return follow


def states(work):
    return [row.state for row in work.rows()]


READY, GONE = Ready("process 1"), Lost("was ended by SIGKILL")


def test_a_lost_worker_s_recording_is_tried_once_more_and_the_others_go_on(work, analyse):
    pool, ticks = analyse([READY, GONE, READY, GONE, READY, DONE])
    assert pool.given == [b"a.mp4", b"a.mp4", b"b.mp4"] and pool.replaced == 2
    assert states(work) == ["failed", "done"] and ticks == [2, 2]


def test_an_engine_that_fails_gives_its_recording_back(work, analyse):
    refused = Refused(5, "engine", "known-answer probe", fault="F07")
    pool, _ = analyse([READY, refused, GONE, READY, DONE, DONE])
    assert pool.given == [b"a.mp4", b"a.mp4", b"b.mp4"]
    assert states(work) == ["done", "done"]


def test_a_worker_that_cannot_begin_is_left_out(work, analyse):
    refused = Refused(5, "tiny.onnx", "no such model file")
    pool, _ = analyse([refused, GONE], [READY, DONE, DONE])
    assert pool.replaced == 0 and states(work) == ["done", "done"]


def test_when_no_worker_can_begin_the_reason_is_told(work, analyse):
    refused = Refused(5, "tiny.onnx", "no such model file", "share it", "M08")
    with pytest.raises(EngineError, match=r"M08.*no such model file; share it"):
        analyse([refused], [refused])


def test_f27_a_full_disk_ends_everything(work, analyse):
    with pytest.raises(StorageError, match="cannot be written"):
        analyse([READY, Refused(6, "out", "cannot be written")])


def test_workers_that_are_lost_one_after_another_end_it(work, analyse):
    with pytest.raises(EngineError, match="lost one after another"):
        analyse([GONE] * (MAX_LOST + 1))


@pytest.fixture
def plan(tmp_path):
    return make_plan(tmp_path)


def test_m08_a_worker_refuses_a_model_file_of_another_digest(plan, tmp_path):
    save_tiny(tmp_path, threshold=0.6)
    with pytest.raises(EngineError, match=r"M08.*give every worker the same file"):
        open_same(plan.answering, 1)


def test_f07_a_worker_refuses_an_engine_that_answers_differently(plan):
    given = load_model(Path(plan.answering.model_path))
    other = choose_engine(given, open_cache(), Wanted(), print)
    swapped = replace(other, probe=replace(other.probe, probs=1 - other.probe.probs))
    wrong = describe(swapped, given, Path(plan.answering.model_path), None)
    other.engine.close()
    with pytest.raises(EngineError, match="F07"):
        open_same(wrong, 1)


def test_a_worker_refuses_another_engine_than_the_one_chosen(plan):
    used = msgspec.structs.replace(plan.answering.used, runtime="openvino 1, fp32, CPU")
    with pytest.raises(EngineError, match="expected openvino 1"):
        open_same(msgspec.structs.replace(plan.answering, used=used), 1)


def test_threads_change_no_bit_of_an_answer(plan):
    answers = []
    for threads in (1, 2):
        chosen, used, _ = open_same(plan.answering, threads)
        answers.append(chosen.engine.submit(chosen.probe.frames[:1]).result().logits.tobytes())
        chosen.engine.close()
        assert used.engine == plan.answering.used
    assert answers[0] == answers[1]


def test_a_worker_opens_the_cached_engine_with_its_own_threads_or_refuses(tmp_path):
    path, cache = save_tiny(tmp_path, precision="int8"), tmp_path / "cache"
    given = load_model(path)
    wanted = Wanted("openvino", "int8", force=True)
    chosen = choose_engine(given, open_cache(cache), wanted, print)
    answering = describe(chosen, given, path, cache)
    same, used, _ = open_same(answering, 1)
    frames = chosen.probe.frames
    left, right = (run_frames(engine, frames).logits for engine in (chosen.engine, same.engine))
    assert left.tobytes() == right.tobytes() and same.engine.depth == 2
    assert (used.engine.standing, answering.key.precision) == ("forced", "int8")
    chosen.engine.close()
    same.engine.close()
    shutil.rmtree(cache)
    with pytest.raises(EngineError, match="give every worker the same cache"):
        open_same(answering, 1)


def test_a_worker_of_another_version_is_refused(plan):
    setup = msgspec.structs.replace(plan.setup(), version="0.0.1")
    with pytest.raises(UsageError, match=r"version.*expected 0\.0\.1"), open_bench(setup):
        pass


@pytest.mark.parametrize(("size", "digest"), [(1, ""), (None, "0" * 64), (None, "")])
def test_a_worker_that_sees_another_file_fails_the_recording_and_says_why(plan, size, digest):
    (recording,) = scan(plan.places.root)
    given = msgspec.structs.replace(recording, size=size or recording.size)
    with open_bench(plan.setup()) as bench:
        outcome = bench.analyse(Task(given, "s", digest))
    assert outcome.state == "failed" and "share the file system" in outcome.text
    assert sessions(plan.places.out) == []


def test_v23_a_name_that_is_not_utf_8_is_unusable_and_the_path_is_harmless(plan):
    recording = found(b"../in/\xff\n.mp4")
    with open_bench(plan.setup()) as bench:
        outcome = bench.analyse(Task(recording, "s"))
    assert (outcome.state, outcome.fault, outcome.exit_code) == ("unusable", "V23", 3)


def test_f27_a_worker_that_cannot_write_says_so(plan):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    (recording,) = scan(plan.places.root)
    with open_bench(plan.setup()) as bench:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
        try:
            with pytest.raises(StorageError):
                bench.analyse(Task(recording, "s"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert sessions(plan.places.out) == []


def test_an_outcome_survives_the_wire(plan):
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(DONE), type=Ready | Refused | Outcome)
    assert decoded == DONE


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_f30_killed_twice_at_random_it_ends_with_the_same_table(tmp_path, seed):
    root, model = plant(tmp_path / "in", clips=6, frames=60), save_tiny(tmp_path)
    began_s = time.monotonic()
    run(root, tmp_path / "calm", model)
    took_s = time.monotonic() - began_s
    moments, out, kept = random.Random(seed), tmp_path / "out", {}
    for _ in range(2):
        with start(root, out, model) as process:
            try:
                process.wait(moments.uniform(0.2, 0.9) * took_s)
            except subprocess.TimeoutExpired:
                kill(process)
        assert kept.items() <= stamps(out).items()
        kept = stamps(out)
    run(root, out, model)
    assert first_unlike(tmp_path / "calm", out) is None
    assert kept.items() <= stamps(out).items()


def stamps(out):
    return {folder.name: folder.stat().st_ctime_ns for folder in sessions(out)}
