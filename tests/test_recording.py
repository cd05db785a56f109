"""Facts about the lossless recording."""

import itertools
import resource
import subprocess
import sys

import av
import numpy as np
import pytest

from engines.pixels import Pixels
from stream.clock import MS
from stream.errors import SourceError, StorageError
from stream.live.recorder.recording import VideoWriter, read_recording
from stream.live.wire.payload import layout_of

pytestmark = pytest.mark.timeout(120)
SUBSAMPLED = {
    "444": (1, 1),
    "422": (1, 2),
    "420": (2, 2),
    "411": (1, 4),
    "410": (4, 4),
    "440": (2, 1),
}


def picture(name, full_range=True, matrix="bt601", shape=(96, 128), seed=0):
    """Return noise, which no codec can guess."""
    rng = np.random.default_rng(seed)
    if name == "rgb":
        return Pixels((rng.integers(0, 256, (*shape, 3), dtype=np.uint8),))
    shapes = [shape]
    if name != "grey":
        down, across = SUBSAMPLED[name]
        shapes += [(-(-shape[0] // down), -(-shape[1] // across))] * 2
    planes = tuple(rng.integers(0, 256, side, dtype=np.uint8) for side in shapes)
    return Pixels(planes, matrix, full_range)


def record(path, pictures, times_ns=None):
    """Write pictures 40 ms apart and return their indices."""
    times_ns = times_ns or [number * 40 * MS for number in range(len(pictures))]
    with VideoWriter(path, layout_of(pictures[0])) as writer:
        return [writer.add(one, time) for one, time in zip(pictures, times_ns, strict=True)]


def same(given, found):
    """Tell whether two pictures agree in every bit and tag."""
    planes = zip(given.planes, found.planes, strict=True)
    return layout_of(given) == layout_of(found) and all((a == b).all() for a, b in planes)


@pytest.mark.parametrize("name", ["grey", "rgb", *SUBSAMPLED])
@pytest.mark.parametrize("shape", [(96, 128), (75, 93), (720, 64)], ids=["even", "odd", "narrow"])
def test_every_layout_comes_back_bit_by_bit(tmp_path, name, shape):
    given = [picture(name, shape=shape, seed=seed) for seed in range(3)]
    assert record(tmp_path / "a.mkv", given) == [0, 1, 2]
    found = list(read_recording(tmp_path / "a.mkv"))
    assert len(found) == 3
    assert all(itertools.starmap(same, zip(given, found, strict=True)))


@pytest.mark.parametrize("name", ["grey", "420", "411"])
@pytest.mark.parametrize("full_range", [True, False], ids=["full", "limited"])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_range_and_matrix_come_back(tmp_path, name, full_range, matrix):
    given = picture(name, full_range, matrix, (720, 64))
    record(tmp_path / "a.mkv", [given])
    assert same(given, next(iter(read_recording(tmp_path / "a.mkv"))))


def test_planes_that_are_views_are_written_as_they_look(tmp_path):
    whole = picture("grey", shape=(96, 256)).planes[0]
    given = Pixels((whole[::-1, ::2],))
    record(tmp_path / "a.mkv", [given])
    assert same(given, next(iter(read_recording(tmp_path / "a.mkv"))))


def test_times_in_the_file_are_those_of_capture_to_the_millisecond(tmp_path):
    times = [5_000_000_000, 5_007_400_000, 5_040_600_000, 6_000_000_000]
    record(tmp_path / "a.mkv", [picture("420", seed=seed) for seed in range(4)], times)
    with av.open(tmp_path / "a.mkv") as container:
        assert [frame.pts for frame in container.decode(video=0)] == [0, 7, 41, 1000]


def test_pictures_of_one_moment_are_all_kept_in_order(tmp_path):
    given = [picture("420", seed=seed) for seed in range(5)]
    record(tmp_path / "a.mkv", given, [0, 0, 100, 50, 10])
    assert all(itertools.starmap(same, zip(given, read_recording(tmp_path / "a.mkv"), strict=True)))


def test_another_layout_needs_another_file(tmp_path):
    with VideoWriter(tmp_path / "a.mkv", layout_of(picture("420"))) as writer:
        writer.add(picture("420"), 0)
        with pytest.raises(ValueError, match="this file is for"):
            writer.add(picture("444"), 1)


@pytest.mark.parametrize("name", ["grey", "420"])
def test_a_file_cut_anywhere_gives_its_first_pictures(tmp_path, name):
    given = [picture(name, seed=seed) for seed in range(20)]
    record(tmp_path / "a.mkv", given)
    data = (tmp_path / "a.mkv").read_bytes()
    counts = []
    for share in (0.15, 0.37, 0.62, 0.81, 0.999):
        (tmp_path / "cut.mkv").write_bytes(data[: int(share * len(data))])
        found = list(read_recording(tmp_path / "cut.mkv"))
        assert all(itertools.starmap(same, zip(given, found, strict=False)))
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] >= 1
    assert counts[-1] >= 18


def test_a_file_cut_before_its_first_picture_is_refused(tmp_path):
    record(tmp_path / "a.mkv", [picture("420")])
    (tmp_path / "cut.mkv").write_bytes((tmp_path / "a.mkv").read_bytes()[:300])
    with pytest.raises(SourceError):
        list(read_recording(tmp_path / "cut.mkv"))


KILLED = """
import os, pathlib, signal, sys
from stream.live.wire.payload import layout_of
from stream.live.recorder.recording import VideoWriter
from tests.test_recording import picture
writer = VideoWriter(pathlib.Path(sys.argv[1]), layout_of(picture("420")))
for number in range(50):
    writer.add(picture("420", seed=number), number * 40_000_000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_takes_away_less_than_half_a_second(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.mkv")], check=False, timeout=60)
    found = list(read_recording(tmp_path / "a.mkv"))
    assert len(found) >= 50 - 12
    assert all(same(picture("420", seed=number), one) for number, one in enumerate(found))


def test_a_folder_that_is_not_there_is_an_error_of_storage(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        VideoWriter(tmp_path / "none" / "a.mkv", layout_of(picture("420")))


def test_f27_a_disk_that_is_full_is_an_error_of_storage(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            record(tmp_path / "a.mkv", [picture("420", seed=seed) for seed in range(60)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(read_recording(tmp_path / "a.mkv"))) > 1


def test_planes_that_no_video_has_are_refused(tmp_path):
    planes = [np.zeros(shape, np.uint8) for shape in [(64, 96), (64, 45), (64, 45)]]
    with pytest.raises(StorageError, match="no video has planes"):
        VideoWriter(tmp_path / "a.mkv", layout_of(Pixels(tuple(planes))))
    assert not (tmp_path / "a.mkv").exists()


def test_a_writer_may_be_closed_twice(tmp_path):
    writer = VideoWriter(tmp_path / "a.mkv", layout_of(picture("420")))
    writer.add(picture("420"), 0)
    writer.close()
    writer.close()
    assert len(list(read_recording(tmp_path / "a.mkv"))) == 1
