"""The sandbox: frames come through unchanged, and nothing a file does reaches the parent."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import numpy as np
import pytest

from stream.errors import SourceError, UsageError
from stream.frame import Frame
from stream.sources.open import SourceOptions, open_source, source_info
from stream.sources.ring import Ring, keep_frame
from stream.sources.sandbox import Limits, SandboxedSource
from stream.sources.video import open_video
from tests.clips import flip, pictures, write_clip, write_two_streams
from tests.sandbox_fakes import COUNT
from tests.sandbox_opening import fake

ROOT = Path(__file__).parents[1]
IMPATIENT = Limits(stall_s=1.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 40)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a path object opens one more


def test_frames_are_those_of_the_reader(clip: Path):
    reader = open_video(str(clip))
    with open_source(str(clip), session="s") as source:
        for number, (picture, frame) in enumerate(zip(reader.pictures(), source, strict=True)):
            assert frame.id == ("s", 0, number) and frame.pts_ns == picture.pts_ns
            pairs = zip(picture.pixels.planes, frame.pixels.planes, strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs)
            assert frame.source == "clip.mp4" and frame.captured_ns <= time.monotonic_ns()
        assert source.info == reader.info and source.problems == ()
    reader.close()


def test_kept_frames_never_change_whatever_the_ring_does(fakes: None):
    with fake("counting", Limits(slots=4)) as source:
        frames = list(source)
    assert [int(frame.image.min()) for frame in frames] == list(range(COUNT))
    assert all(frame.image.min() == frame.image.max() for frame in frames)


def test_a_view_of_a_frame_keeps_its_slot(fakes: None):
    with fake("counting", Limits(slots=8)) as source:
        views = [frame.pixels.planes[0][10:20, 5:9] for frame in source if frame.id.seq % 15 == 0]
    assert [view.flatten().tolist() for view in views] == [[n] * 40 for n in (0, 15, 30, 45)]


def test_frames_lie_in_shared_memory_until_too_many_are_kept(fakes: None):
    with fake("counting", Limits(slots=8)) as source:
        roots = [frame.pixels.planes[0].base for frame in source]
    assert [root.flags.owndata for root in roots if isinstance(root, np.ndarray)][:7] == [
        False, False, False, False, False, True, True,
    ]  # fmt: skip


def test_keep_frame_gives_the_slot_back(fakes: None):
    with fake("counting", Limits(slots=4)) as source:
        kept: list[Frame] = []
        for frame in source:
            assert isinstance(frame.pixels.planes[0].base, np.ndarray)
            assert not frame.pixels.planes[0].base.flags.owndata
            kept.append(keep_frame(frame))
            del frame
    assert [int(frame.image[0, 0]) for frame in kept] == list(range(COUNT))


def test_frames_outlive_their_source(clip: Path):
    with open_source(str(clip), session="s") as source:
        frame = next(iter(source))
    assert np.abs(frame.image.astype(int) - next(pictures(1))).mean() < 8


def test_v17_change_of_size_starts_an_epoch_and_a_larger_ring(fakes: None):
    with fake("growing") as source:
        frames = list(source)
    assert [frame.id.epoch for frame in frames] == [0] * 30 + [1] * 30
    assert [frame.id.seq for frame in frames] == list(range(COUNT))
    assert [int(frame.image[-1, -1]) for frame in frames] == list(range(COUNT))


def test_ring_refuses_slots_that_the_child_does_not_own():
    ring = Ring(100, 4)
    ring.close_fd()
    held = ring.take(0, [(10, 10)])
    for slot, shape in ((0, (5, 5)), (4, (5, 5)), (-1, (5, 5)), (1, (20, 20)), (1, (-1, -1))):
        with pytest.raises(ValueError, match="not the child's"):
            ring.take(slot, [shape])
    del held
    assert ring.freed() == b"\0"


def test_closing_in_mid_clip_ends_the_child_at_once(clip: Path):
    source = open_source(str(clip), session="s")
    assert isinstance(source, SandboxedSource)
    next(iter(source))
    start = time.monotonic()
    source.close()
    source.close()
    assert source._child.returncode is not None and time.monotonic() - start < 1


def test_f35_opening_leaves_no_descriptors_and_no_shared_memory(clip: Path):
    shared = set(Path("/dev/shm").iterdir())
    counts = []
    for _ in range(6):
        with open_source(str(clip), session="s") as source:
            next(iter(source))
        with pytest.raises(SourceError):
            open_source("absent.mp4", session="s")
        counts.append(open_descriptors())
    assert len(set(counts[1:])) == 1
    assert set(Path("/dev/shm").iterdir()) <= shared


@pytest.mark.slow
def test_f35_fifty_opens_leave_no_descriptors(clip: Path):
    before = open_descriptors()
    for _ in range(50):
        with open_source(str(clip), session="s") as source:
            next(iter(source))
    assert open_descriptors() == before


def test_v12_choice_of_a_stream_passes_through(tmp_path: Path):
    path = write_two_streams(tmp_path / "a.mkv")
    with pytest.raises(UsageError, match="choose one with --stream"):
        open_source(str(path), session="s")
    with open_source(str(path), session="s", options=SourceOptions(stream_index=1)) as source:
        assert len(list(source)) == 5


def test_v23_relative_path_with_leading_dash_works(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "-i %05d\n.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    with open_source("-i %05d\n.mp4", session="s") as source:
        assert len(list(source)) == 40


@pytest.mark.timeout(20)
def test_v21_pipe_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "a.mp4")
    for path in (tmp_path / "a.mp4", "a\0b.mp4", "x" * 5000):
        with pytest.raises(SourceError) as caught:
            open_source(str(path), session="s")
        assert caught.value.fault == "V21"


def test_stills_and_folders_of_them_go_to_the_image_reader(tmp_path: Path):
    import cv2

    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((80, 90), 40 * number, np.uint8))
    with open_source(str(tmp_path), session="s") as folder:
        assert [int(frame.image.max()) for frame in folder] == [0, 40, 80]
    assert source_info(str(tmp_path / "1.png"))[0].kind == "images"


def test_phantom_comes_through_the_sandbox():
    with open_source("phantom:kidney?seed=3&seconds=0.2", session="s") as source:
        frames = list(source)
        assert source.info.kind == "phantom" and len(frames) > 1


def test_dicom_is_known_by_its_content(tmp_path: Path):
    sample = Path("../shared/data/dicom/examples_rgb_color.dcm")
    if not sample.is_file():
        pytest.skip(f"{sample} is absent")
    (tmp_path / "IMG0001").write_bytes(sample.read_bytes())
    assert source_info(str(tmp_path / "IMG0001"))[0].kind == "dicom"


def test_source_info_reads_no_further_than_the_first_picture(clip: Path):
    info, problems = source_info(str(clip))
    assert (info.frame_count, info.size_wh, problems) == (40, (160, 120), ())


def test_limits_are_checked():
    with pytest.raises(ValueError, match="slots 2"):
        dataclasses.replace(Limits(), slots=2)


def fuzz_one(whole: Path, damaged: Path, seed: int) -> None:
    """Damage a clip at random; it must end in frames or one error, and soon."""
    random = np.random.default_rng(seed)
    size = whole.stat().st_size
    flip(whole, damaged, seed, int(random.choice([1, 5, 50])), (0, size))
    cut = seed % 3 == 0
    if cut:
        os.truncate(damaged, int(random.integers(1, size)))
    start = time.monotonic()
    try:
        with open_source(str(damaged), session="s") as source:
            count = len(list(source))
            told = any(problem.partial for problem in source.problems)
            assert count == 12 or told or not cut
    except (SourceError, UsageError) as error:
        assert error.fault and "\n" not in str(error)
    assert time.monotonic() - start < 20


FUZZED = [("mp4", "libx264", "yuv420p"), ("avi", "mpeg4", "yuv420p"), ("gif", "gif", "gray")]


@pytest.mark.parametrize(("suffix", "codec", "pix_fmt"), FUZZED)
def test_damaged_files_end_as_frames_or_one_error(
    tmp_path: Path, suffix: str, codec: str, pix_fmt: str
):
    whole = write_clip(tmp_path / f"a.{suffix}", 12, codec=codec, pix_fmt=pix_fmt)
    for seed in range(6):
        fuzz_one(whole, tmp_path / f"b.{suffix}", seed)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("suffix", "codec", "pix_fmt"), FUZZED)
def test_many_damaged_files_end_as_frames_or_one_error(
    tmp_path: Path, suffix: str, codec: str, pix_fmt: str
):
    whole = write_clip(tmp_path / f"a.{suffix}", 12, codec=codec, pix_fmt=pix_fmt)
    for seed in range(6, 73):
        fuzz_one(whole, tmp_path / f"b.{suffix}", seed)
