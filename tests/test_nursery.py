"""The nursery: its children are cheap, and as confined and as mortal as any other."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from stream.errors import SourceError
from stream.sources import nursery as nursery_module
from stream.sources.base import Problem
from stream.sources.nursery import Nursery
from stream.sources.open import SourceOptions, open_source
from stream.sources.sandbox import Limits, SandboxedSource
from stream.sources.sandbox_wire import Request
from tests.clips import write_clip
from tests.sandbox_fakes import COUNT

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 12))


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as opened:
        yield opened


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    monkeypatch.setattr(nursery_module, "_ZYGOTE", "tests.nursery_fakes")
    with Nursery() as opened:
        yield opened


def fake(name: str, nursery: Nursery, limits: Limits | None = None) -> SandboxedSource:
    return SandboxedSource(Request("video", name.encode()), "s", limits or Limits(), nursery).open()


def zygote_of(nursery: Nursery) -> psutil.Process:
    return psutil.Process(nursery._zygote.pid)


def descriptors(process: psutil.Process) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def ended(process: psutil.Process) -> bool:
    """Tell whether a process runs no more; one that nobody has buried does not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def gone(processes: list[psutil.Process]) -> bool:
    """Wait at most 2 s for the end of processes."""
    end = time.monotonic() + 2
    while not all(ended(process) for process in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_thirty_sources_of_a_nursery_give_the_frames_of_a_child_of_its_own(
    nursery: Nursery, clip: str
):
    with open_source(clip, session="s") as source:
        expected, info = list(source), source.info
    for _ in range(30):
        with open_source(clip, session="s", nursery=nursery) as source:
            frames = list(source)
            assert source.info == info and source.problems == ()
        assert [f.id for f in frames] == [f.id for f in expected]
        assert [f.pts_ns for f in frames] == [f.pts_ns for f in expected]
        pairs = zip(frames, expected, strict=True)
        assert all(np.array_equal(a.image, b.image) for a, b in pairs)


def test_two_sources_of_a_nursery_run_side_by_side(fakes: Nursery):
    with fake("counting", fakes) as one, fake("counting", fakes) as other:
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            assert int(a.image.min()) == int(b.image.min()) == number
    assert number == COUNT - 1


def test_the_nursery_keeps_nobody_waiting():
    start = time.monotonic()
    with Nursery():
        began_s = time.monotonic() - start
    assert began_s < 0.1 and time.monotonic() - start < 0.5


def test_the_zygote_has_one_thread_for_a_fork_copies_no_other(nursery: Nursery, clip: str):
    with open_source(clip, session="s", nursery=nursery):
        assert zygote_of(nursery).num_threads() == 1


def test_a_child_holds_standard_streams_control_and_ring_alone(fakes: Nursery):
    with fake("counting", fakes) as one, fake("sleeping", fakes) as other:
        next(iter(one)), next(iter(other))
        assert [descriptors(child) for child in zygote_of(fakes).children()] == [5, 5]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("calling_home", "no network"),
        ("starting_programs", "no programs"),
        ("writing", "no large files"),
    ],
)
def test_a_forked_child_reaches_nothing(fakes: Nursery, name: str, told: str):
    with fake(name, fakes) as source, pytest.raises(SourceError, match=told):
        list(source)


def test_f33_memory_limit_holds_in_a_forked_child(fakes: Nursery):
    with (
        fake("greedy", fakes, Limits(memory_bytes=1 << 30)) as source,
        pytest.raises(SourceError, match="more memory than the limit"),
    ):
        list(source)


@pytest.mark.parametrize(
    ("name", "told"),
    [("killed", "was ended by SIGSEGV"), ("broken", "ended with status 1")],
)
def test_f10_crash_of_a_forked_child_is_told_with_its_cause(fakes: Nursery, name: str, told: str):
    with fake(name, fakes) as source:
        assert len(list(source)) == 20
        assert source.problems == (Problem("F10", f"the decoder {told} after 20 frames", True),)


def test_f10_crash_before_the_first_frame_spares_the_next_clip(fakes: Nursery):
    with pytest.raises(SourceError, match="was ended by SIGKILL"):
        fake("killed_at_once", fakes)
    with fake("counting", fakes) as source:
        assert len(list(source)) == COUNT


def test_traceback_of_a_forked_child_goes_to_the_debug_log(
    fakes: Nursery, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.DEBUG), fake("broken", fakes) as source:
        list(source)
    assert "KeyError: 'a defect of ours'" in caplog.text and capfd.readouterr().err == ""


def test_f10_killed_zygote_ends_its_clip_and_is_replaced(fakes: Nursery):
    with fake("sleeping", fakes) as source:
        frames = iter(source)
        next(frames)
        children = zygote_of(fakes).children()
        zygote_of(fakes).kill()
        count = 1 + len(list(frames))
        told = f"the decoder was ended by SIGKILL after {count} frames"
        assert source.problems == (Problem("F10", told, True),) and gone(children)
    with fake("counting", fakes) as source:
        assert len(list(source)) == COUNT


def test_f11_forked_child_that_never_returns_is_ended(fakes: Nursery):
    with pytest.raises(SourceError, match=r"no progress in 0.5 s") as caught:
        fake("sleeping_at_once", fakes, Limits(stall_s=0.5))
    assert caught.value.fault == "F11" and gone(zygote_of(fakes).children())


def test_a_child_that_ignores_every_signal_ends_with_its_source(fakes: Nursery):
    source = fake("stubborn", fakes)
    next(iter(source))
    start = time.monotonic()
    source.close()
    source.close()
    assert zygote_of(fakes).children() == [] and time.monotonic() - start < 1


def test_a_zygote_that_does_not_answer_is_ended_and_replaced(
    fakes: Nursery, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nursery_module, "_EXIT_WAIT_S", 0.2)
    source = fake("stubborn", fakes)
    family = [zygote_of(fakes), *zygote_of(fakes).children()]
    family[0].send_signal(signal.SIGSTOP)
    source.close()
    assert gone(family)
    with fake("counting", fakes) as source:
        assert len(list(source)) == COUNT


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_source_that_was_dropped_harms_no_other(fakes: Nursery):
    with fake("counting", fakes) as other:
        dropped = fake("stubborn", fakes)
        (child,) = zygote_of(fakes).children()[1:]
        del dropped
        assert gone([child]) and len(list(other)) == COUNT


def test_f31_interrupt_spares_zygote_and_children(fakes: Nursery):
    with fake("ignoring_interrupts", fakes) as source:
        zygote_of(fakes).send_signal(signal.SIGINT)
        assert len(list(source)) == COUNT


PARENT = """
import sys, time
from stream.sources.nursery import Nursery
from stream.sources.open import open_source
nursery = Nursery()
source = open_source(sys.argv[1], session="s", nursery=nursery)
print(nursery._zygote.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [True, False])
def test_f32_parent_leaves_no_process_however_it_ends(clip: str, killed: bool):
    pipe = subprocess.PIPE
    program = [sys.executable, "-c", PARENT, clip]
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        zygote = psutil.Process(int(parent.stdout.readline()))
        family = [zygote, *zygote.children()]
        if killed:
            parent.kill()
    assert len(family) == 2 and gone(family)


def test_closing_ends_the_zygote_and_what_it_bore(clip: str):
    with Nursery() as nursery:
        few = SourceOptions(limits=Limits(slots=4))  # fewer than frames
        source = open_source(clip, session="s", options=few, nursery=nursery)
        frames = iter(source)
        next(frames)  # or the child may die before its first frame, which raises
        family = [zygote_of(nursery), *zygote_of(nursery).children()]
    assert len(family) == 2 and gone(family)
    with source:
        told = f"the decoder was ended by SIGKILL after {1 + len(list(frames))} frames"
        assert source.problems == (Problem("F10", told, True),)


def test_f35_fifty_opens_leave_no_descriptors(nursery: Nursery, clip: str):
    counts = []
    for _ in range(51):
        with open_source(clip, session="s", nursery=nursery) as source:
            next(iter(source))
        counts.append(descriptors(psutil.Process()))
    assert len(set(counts[1:])) == 1
    assert descriptors(zygote_of(nursery)) <= 5  # standard streams, orders, the last leash
