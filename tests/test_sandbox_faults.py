"""The sandbox when things go wrong: crashes, hangs, hunger, lies and lost parents."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.errors import SourceError
from stream.sources import nursery
from stream.sources.base import Problem
from stream.sources.open import SourceOptions, open_source
from stream.sources.sandbox import Limits, SandboxedSource
from tests.clips import write_clip
from tests.sandbox_fakes import COUNT
from tests.sandbox_opening import fake

ROOT = Path(__file__).parents[1]
IMPATIENT = Limits(stall_s=1.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 40)


def wait_until_gone(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().split(") ")[1][0] == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["killed", "broken"])
def test_f10_crash_in_mid_clip_keeps_the_frames_before_it(fakes: None, name: str):
    with fake(name) as source:
        assert len(list(source)) == 20
        reason = "was ended by SIGSEGV" if name == "killed" else "ended with status 1"
        assert source.problems == (Problem("F10", f"the decoder {reason} after 20 frames", True),)


@pytest.mark.timeout(20)
def test_f10_crash_before_the_first_frame_is_an_error(fakes: None):
    with pytest.raises(SourceError, match="was ended by SIGKILL"):
        fake("killed_at_once")


def test_f10_kill_from_outside_is_partial(clip: Path):
    with open_source(str(clip), session="s") as source:
        assert isinstance(source, SandboxedSource)
        frames = iter(source)
        next(frames)
        os.kill(source._child.pid, signal.SIGKILL)
        count = 1 + len(list(frames))
        assert source.problems[-1].partial
        assert source.problems[-1].text == f"the decoder was ended by SIGKILL after {count} frames"


def test_defect_shows_its_traceback_only_in_the_debug_log(
    fakes: None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.DEBUG), fake("broken") as source:
        list(source)
    assert "KeyError: 'a defect of ours'" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert capfd.readouterr().err == ""


@pytest.mark.timeout(20)
def test_f11_reader_that_never_returns_is_ended(fakes: None):
    start = time.monotonic()
    with pytest.raises(SourceError, match="no progress in 1 s") as caught:
        fake("sleeping_at_once", IMPATIENT)
    assert caught.value.fault == "F11" and time.monotonic() - start < 4


@pytest.mark.timeout(20)
def test_f11_reader_that_stops_in_mid_clip_is_partial(fakes: None):
    with fake("sleeping", IMPATIENT) as source:
        assert len(list(source)) == 20
        assert source.problems == (Problem("F11", "no progress in 1 s after 20 frames", True),)


@pytest.mark.timeout(20)
def test_a_slow_consumer_is_no_stall(fakes: None):
    with fake("counting", Limits(slots=4, stall_s=0.5)) as source:
        for frame in source:
            if frame.id.seq == 3:
                time.sleep(1.2)
        assert frame.id.seq == COUNT - 1 and source.problems == ()


@pytest.mark.timeout(20)
def test_f33_memory_limit_holds(fakes: None):
    source = fake("greedy", Limits(memory_bytes=1 << 30))
    with source, pytest.raises(SourceError, match="more memory than the limit"):
        list(source)


@pytest.mark.timeout(60)
def test_f33_large_pictures_within_a_small_limit_are_an_error(tmp_path: Path):
    path = write_clip(
        tmp_path / "a.mkv", 2, codec="mjpeg", pix_fmt="yuvj444p", size_wh=(4096, 4096)
    )
    options = SourceOptions(limits=Limits(memory_bytes=400 << 20))
    with (
        pytest.raises(SourceError) as caught,
        open_source(str(path), session="s", options=options) as source,
    ):
        list(source)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("calling_home", "no network"),
        ("starting_programs", "no programs"),
        ("writing", "no large files"),
    ],
)
def test_child_reaches_nothing(fakes: None, name: str, told: str):
    with fake(name) as source, pytest.raises(SourceError, match=told):
        list(source)


def test_f31_interrupt_is_the_parents_to_answer(fakes: None):
    with fake("ignoring_interrupts") as source:
        assert len(list(source)) == COUNT


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "name",
    [
        "noise",
        "early",
        "wild_slot",
        "overflowing",
        "negative",
        "flat",
        "huge",
        "insatiable",
        "twice",
    ],
)
def test_child_that_breaks_the_protocol_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr(nursery, "_ALONE", "tests.sandbox_liar")
    try:
        with fake(name, IMPATIENT) as source:
            kept = list(source)
            assert len(kept) == 1 and source.problems[-1].fault == "F10"
    except SourceError as error:
        assert error.fault in ("F10", "V14")


PARENT = """
import sys, time
from stream.sources.open import open_source
source = open_source(sys.argv[1], session="s")
frames = iter(source)
next(frames)
print(source._child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.timeout(30)
def test_f32_child_dies_with_its_parent(clip: Path):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(clip)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    assert wait_until_gone(child, 2)
