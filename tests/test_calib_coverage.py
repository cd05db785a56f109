"""Facts about which frames calibrate and which are held out."""

import dataclasses

import numpy as np
import pytest

from calib.coverage import Traits, choose_frames, choose_places, find_traits, hold_out
from calib.frames import FrameSet
from engines.base import EngineOutput
from tests.tiny_model import GATE, SIZE, SPEC

CLIPS, LENGTH = 12, 10
COUNT = CLIPS * LENGTH


def make_traits(**changes):
    """Twelve clips of ten frames, three of each class, time in quarters, 6 clusters."""
    place = np.arange(COUNT)
    columns = {
        "clip": place // LENGTH,
        "kind": place // LENGTH // 3,
        "time": place % LENGTH * 4 // LENGTH,
        "cluster": place * 7 % 6,
        "state": np.zeros(COUNT, np.int64),
    }
    return Traits(**(columns | changes))


def make_frames(brightness):
    """One grey, slightly noisy frame for each brightness, ten to a clip."""
    rng = np.random.default_rng(0)
    count = len(brightness)
    noise = rng.integers(0, 20, (count, SIZE, SIZE, 1))
    inputs = np.clip(np.reshape(brightness, (-1, 1, 1, 1)) + noise, 0, 255).astype(np.uint8)
    return FrameSet(
        inputs=np.repeat(inputs, 3, axis=3),
        names=tuple(f"clip{n // 10}#{n % 10}" for n in range(count)),
        groups=tuple(f"clip{n // 10}" for n in range(count)),
        times_s=np.arange(count) % 10 / 10.0,
        labels=np.full(count, -1, np.int64),
        origin="drawn",
    )


def answers_to(frames, features=None):
    count = len(frames)
    if features is None:
        features = frames.inputs.mean(axis=(1, 2)).astype(np.float32) / 255
    logits = np.tile(np.array([[0.0, 1.0]], np.float32), (count, 1))
    return EngineOutput(logits, logits, np.zeros((count, 2, 4, 4), np.float32), features)


def test_every_clip_class_quarter_and_cluster_is_covered():
    traits = make_traits()
    places, _ = choose_places(traits, 24, seed=0)
    picked = traits.take(places)
    for column, size in (
        (picked.clip, CLIPS),
        (picked.kind, 4),
        (picked.time, 4),
        (picked.cluster, 6),
    ):
        assert len(np.unique(column)) == size


def test_every_clip_comes_first_when_there_are_as_many_frames_as_clips():
    places, _ = choose_places(make_traits(), CLIPS, seed=3)
    assert sorted(places // LENGTH) == list(range(CLIPS))


def test_no_frame_is_chosen_twice_and_all_are_when_there_are_too_few():
    places, reasons = choose_places(make_traits(), 500, seed=0)
    assert sorted(places) == list(range(COUNT))
    assert len(reasons) == COUNT


def test_a_small_class_gets_its_share():
    kind = (np.arange(COUNT) >= COUNT - LENGTH).astype(np.int64)
    places, _ = choose_places(make_traits(kind=kind), 24, seed=0)
    assert kind[places].sum() >= 3  # a fair draw would take two of 24


def test_rare_states_are_chosen_four_times():
    state = np.zeros(COUNT, np.int64)
    state[[3, 4, 5, 6, 7, 8]] = 1
    places, reasons = choose_places(make_traits(state=state), 24, seed=0)
    assert reasons[:4] == ("rare state",) * 4
    assert 4 <= state[places].sum() <= 5


@pytest.mark.parametrize("seed", [0, 1])
def test_the_choice_is_the_same_for_the_same_seed(seed):
    one, other = (choose_places(make_traits(), 30, seed)[0] for _ in range(2))
    assert (one == other).all()


def test_another_seed_chooses_other_frames():
    one, other = (choose_places(make_traits(), 30, seed)[0] for seed in (0, 1))
    assert set(one) != set(other)


def test_held_out_groups_are_other_groups_and_see_every_class():
    traits = make_traits()
    ours, theirs = hold_out(traits, seed=0)
    assert not set(traits.clip[ours]) & set(traits.clip[theirs])
    assert set(traits.kind[ours]) == set(traits.kind[theirs]) == {0, 1, 2, 3}
    assert len(ours) + len(theirs) == COUNT


def test_a_single_group_is_not_split():
    ours, theirs = hold_out(make_traits(clip=np.zeros(COUNT, np.int64)), seed=0)
    assert (len(ours), len(theirs)) == (COUNT, 0)


def test_groups_of_one_class_each_are_still_held_out():
    clip = np.arange(COUNT) // 60
    ours, theirs = hold_out(make_traits(clip=clip, kind=clip), seed=0)
    assert (len(ours), len(theirs)) == (60, 60)


def test_dark_frames_are_made_where_there_are_none():
    frames = make_frames([100] * 20)
    chosen = choose_frames(frames, find_traits(frames, answers_to(frames), SPEC, 0), 8, seed=0)
    assert len(chosen.frames) == 10
    assert not chosen.frames.inputs[-2].any()
    assert 0 < chosen.frames.inputs[-1].max() < 24
    assert chosen.reasons[-1].startswith("made")


def test_a_dark_frame_that_exists_is_chosen_and_none_is_made():
    frames = make_frames([100] * 13 + [0] + [100] * 6)
    chosen = choose_frames(frames, find_traits(frames, answers_to(frames), SPEC, 0), 8, seed=0)
    assert "clip1#3" in chosen.frames.names
    assert len(chosen.frames) == 8


def test_frames_without_contact_are_told_by_the_gate_of_the_model():
    frames = make_frames([100] * 20)
    features = np.full((20, 3), 0.5, np.float32)
    features[7] = 9.0
    spec = SPEC.__class__(**{n: getattr(SPEC, n) for n in SPEC.__struct_fields__} | {"gate": GATE})
    traits = find_traits(frames, answers_to(frames, features), spec, seed=0)
    assert np.flatnonzero(traits.state).tolist() == [7]


def test_quarters_are_those_of_the_clip():
    frames = make_frames([100] * 20)
    traits = find_traits(frames, answers_to(frames), SPEC, seed=0)
    assert traits.time[:10].tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]


def test_the_list_says_digest_label_group_name_and_reason():
    frames = make_frames([100] * 20)
    chosen = choose_frames(frames, find_traits(frames, answers_to(frames), SPEC, 0), 4, seed=0)
    cells = chosen.lines()[0].split("\t")
    assert len(cells[0]) == 64
    assert cells[1:4] == ["-1", chosen.frames.groups[0], chosen.frames.names[0]]
    assert cells[4] == chosen.reasons[0]


def test_a_name_that_no_line_can_hold_is_written_escaped():
    frames = make_frames([100])
    odd = dataclasses.replace(frames, names=("a\tb\n\udcff.png",), groups=("\u2028",))
    cells = odd.lines()[0].encode().decode().split("\t")
    assert cells[2:] == [r"\u2028", r"a\tb\n\udcff.png"]
