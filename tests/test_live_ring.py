"""Facts about the ring of pictures in shared memory."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from engines.pixels import Pixels
from stream.errors import StorageError
from stream.live.wire import ring as ring_module
from stream.live.wire.payload import layout_of
from stream.live.wire.ring import PAGE, FrameRing
from tests.wire_messages import count_fds

pytestmark = pytest.mark.timeout(60)


def grey(value, shape=(48, 64)):
    return Pixels((np.full(shape, value, np.uint8),))


def attach(ring, *, writing=False):
    return FrameRing.attach(os.dup(ring.fd), writing=writing)


@pytest.fixture
def ring():
    with FrameRing.create(1 << 20, 4) as made:
        yield made


def test_a_reader_gets_a_copy_of_what_was_written(ring):
    rng = np.random.default_rng(3)
    planes = tuple(rng.integers(0, 256, s, np.uint8) for s in ((48, 64), (24, 32), (24, 32)))
    pixels = Pixels(planes, "bt709", False)
    slot = ring.write(9, pixels)
    with attach(ring) as reader:
        got = reader.read(slot, 9, layout_of(pixels))
    for mine, theirs in zip(planes, got.planes, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (got.matrix, got.full_range) == ("bt709", False)


def test_planes_need_not_be_contiguous(ring):
    image = np.arange(60 * 80, dtype=np.uint16).astype(np.uint8).reshape(60, 80)
    cut = Pixels((image[5:50, 7:70],))
    got = ring.read(ring.write(0, cut), 0, layout_of(cut))
    np.testing.assert_array_equal(got.planes[0], cut.planes[0])


def test_a_frame_that_was_overwritten_is_not_read(ring):
    layout = layout_of(grey(0))
    slot = ring.write(1, grey(1))
    assert ring.write(5, grey(5)) == slot
    assert ring.read(slot, 1, layout) is None
    assert ring.read(slot, 5, layout).planes[0][0, 0] == 5


def test_a_frame_half_written_by_a_killed_writer_is_not_read(ring):
    slot = ring.write(1, grey(1))
    ring._words[ring_module._STATES + slot] = 2 * 5 + 1
    assert ring.read(slot, 1, layout_of(grey(0))) is None
    assert ring.read(slot, 5, layout_of(grey(0))) is None


def test_a_frame_overwritten_while_it_is_copied_is_not_returned(ring, monkeypatch):
    slot = ring.write(1, grey(1))
    calls = []

    def overwrite_after_the_copy():
        calls.append(None)
        if len(calls) == 2:
            ring._words[ring_module._STATES + slot] = 2 * 5 + 1

    monkeypatch.setattr(ring, "_fence", overwrite_after_the_copy)
    assert ring.read(slot, 1, layout_of(grey(0))) is None
    assert len(calls) == 2


def test_readers_never_see_a_mixture_of_two_frames():
    with FrameRing.create(1 << 20, 2) as ring, attach(ring) as reader:
        layout, stop, seen, bad = layout_of(grey(0, (500, 500))), threading.Event(), [], []
        ring.write(0, grey(0, (500, 500)))

        def read():
            while not stop.is_set():
                newest = ring.next_seq
                got = reader.read(newest % 2, newest, layout)
                if got is not None:
                    seen.append(newest)
                    if got.planes[0].min() != got.planes[0].max():
                        bad.append(newest)

        thread = threading.Thread(target=read)
        thread.start()
        for seq in range(1, 600):
            ring.write(seq, grey(seq % 251, (500, 500)))
            ring.next_seq = seq
        stop.set()
        thread.join()
        assert seen and bad == []


@pytest.mark.parametrize("slot", [4, 255])
def test_a_forged_slot_or_layout_reads_nothing(ring, slot):
    ring.write(0, grey(0))
    assert ring.read(slot, 0, layout_of(grey(0))) is None
    assert ring.read(0, 0, layout_of(grey(0, (900, 900)))) is None


def test_seq_and_epoch_outlive_a_killed_capture(ring):
    program = (
        "import os, signal, sys\n"
        "from stream.live.wire.ring import FrameRing\n"
        "ring = FrameRing.attach(int(sys.argv[1]), writing=True)\n"
        "ring.next_seq, ring.epoch = 1234, 7\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(ring.fd)]
    done = subprocess.run(command, pass_fds=(ring.fd,), timeout=50)
    assert done.returncode == -9
    assert (ring.next_seq, ring.epoch) == (1234, 7)


def test_a_reader_may_not_write(ring):
    with attach(ring) as reader, pytest.raises(ValueError, match="read-only"):
        reader.epoch = 3


def test_nobody_can_make_the_memory_shorter(ring):
    with pytest.raises(PermissionError):
        os.ftruncate(ring.fd, PAGE)


def test_untouched_slots_cost_nothing():
    with FrameRing.create(48 << 20, 8) as ring:
        before = os.fstat(ring.fd).st_blocks * 512
        ring.reserve(PAGE)
        assert before == PAGE and os.fstat(ring.fd).st_blocks * 512 == 9 * PAGE


def test_what_is_no_ring_is_refused():
    fd = os.memfd_create("x")
    try:
        os.ftruncate(fd, 2 * PAGE)
        with pytest.raises(StorageError, match="not a ring"):
            FrameRing.attach(fd)
    finally:
        os.close(fd)


def test_a_closed_ring_leaves_no_descriptor():
    before = count_fds()
    for _ in range(20):
        with FrameRing.create(PAGE, 2) as ring, attach(ring):
            pass
    assert count_fds() == before


def run_limited(body, limit):
    program = (
        "import resource\n"
        "from stream.live.wire.ring import FrameRing\n"
        "from stream.errors import StorageError\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        f"try:\n    {body}\nexcept StorageError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def test_f34_a_small_limit_is_refused_at_start_with_needed_and_present_size():
    done = run_limited("FrameRing.create(1 << 20, 8)", 1 << 20)
    assert done.returncode == 0, done.stderr
    assert "error[F34] shared memory: 8392704 bytes needed, 1048576 present" in done.stdout


def test_f34_too_little_memory_is_refused_before_a_frame_is_written(ring, monkeypatch):
    monkeypatch.setattr(ring_module, "_available_bytes", lambda: 100_000)
    with pytest.raises(StorageError, match="2004096 bytes needed, 104096 present") as caught:
        ring.reserve(500_000)
    assert caught.value.fault == "F34"
    assert os.fstat(ring.fd).st_blocks * 512 == PAGE


def test_f34_a_picture_larger_than_a_slot_is_refused(ring):
    with pytest.raises(StorageError, match="larger than a slot"):
        ring.write(0, grey(0, (2000, 2000)))
