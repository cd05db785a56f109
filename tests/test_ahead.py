"""The next input is begun while one is read, and model inputs are made beside the pictures."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from engines.preprocess import to_model_input
from stream.errors import SourceError
from stream.sources.nursery import Nursery
from stream.sources.open import Ahead, SourceOptions
from stream.sources.ring import keep_frame
from stream.sources.sandbox_wire import Preparation
from tests.clips import write_clip

pytestmark = pytest.mark.timeout(60)
EVERY_SECOND = SourceOptions(preparation=Preparation((32, 24), "letterbox", every=2))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [str(write_clip(folder / f"{name}.mp4", 6)) for name in "ab"]


@pytest.fixture
def nursery():
    with Nursery() as opened:
        yield opened


def children(nursery):
    return psutil.Process(nursery._zygote.pid).children()


def frames(ahead, clip):
    with ahead.open(clip) as source:
        return len(list(source))


def test_the_next_input_is_begun_before_it_is_opened(nursery, clips):
    with Ahead("s", nursery=nursery) as ahead:
        turns = ahead.each(clips)
        with ahead.open(next(turns)) as source:
            next(iter(source))
            assert len(children(nursery)) == 2
        assert frames(ahead, next(turns)) == 6 and list(turns) == []


def test_an_input_that_was_begun_and_never_opened_leaves_no_child(nursery, clips):
    with Ahead("s", nursery=nursery) as ahead:
        next(ahead.each(clips))
    assert children(nursery) == []


def test_f10_a_child_lost_while_it_waited_does_not_cost_its_input(nursery, clips):
    with Ahead("s", nursery=nursery) as ahead:
        turns = ahead.each(clips)
        frames(ahead, next(turns))
        nursery._zygote.kill()
        nursery._zygote.wait()
        assert frames(ahead, next(turns)) == 6


def test_a_bad_input_is_told_when_its_turn_comes(nursery, clips, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    named = [clips[0], str(tmp_path / "gone.mp4"), str(tmp_path / "bad.mp4"), clips[1]]
    told = []
    with Ahead("s", nursery=nursery) as ahead:
        for clip in ahead.each(named):
            try:
                told.append(frames(ahead, clip))
            except SourceError as error:
                told.append(error.fault)
    assert told == [6, "V21", "V01", 6]


def test_model_inputs_beside_the_pictures_are_those_of_preprocessing(nursery, clips):
    with Ahead("s", EVERY_SECOND, nursery).open(clips[0]) as source:
        found = [keep_frame(frame) if i % 2 else frame for i, frame in enumerate(source)]
        assert [frame.model_input is None for frame in found] == [False, True] * 3
        for frame in found[::2]:
            expected = to_model_input(frame.pixels, (32, 24), "letterbox")
            assert np.array_equal(frame.model_input, expected)


def test_a_kept_frame_holds_no_slot_by_its_model_input(nursery, clips):
    with Ahead("s", EVERY_SECOND, nursery).open(clips[0]) as source:
        assert keep_frame(next(iter(source))).model_input is None
