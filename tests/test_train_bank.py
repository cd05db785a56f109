"""Facts about stored views and the batches drawn from them."""

import msgspec
import numpy as np
import pytest
import torch

from tests.networks import make_recipe
from train.fitting.bank import build_bank, draw_weights
from train.fitting.draws import Draws, feed
from train.fitting.ranks import Rank
from train.nets.models import build_network
from train.recipe import Augment

EARLY = make_recipe(
    backbones=("mobilenetv2_100",), frozen="early", neck=16, views=3, draws=8, batch=4
)
WHOLE = make_recipe(frozen="none", draws=0, batch=4)


def make_bank(recipe, count=6):
    inputs = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3)).astype(np.uint8)
    masks = np.zeros((count, 64, 64), np.uint8)
    masks[1, 16:24, 32:40] = 255
    labels = [int(place == 1) for place in range(count)]
    return build_bank(build_network(recipe), inputs, labels, recipe, masks)


@pytest.fixture(scope="module")
def early():
    return make_bank(EARLY)


@pytest.fixture(scope="module")
def whole():
    return make_bank(WHOLE)


def numbers(batches):
    """Return all views of some batches in one tensor."""
    return torch.cat([batch.views.float() for batch in batches])


def test_first_view_is_the_frame_and_its_mask(early):
    assert early.views.shape == (6, 3, 32, 8, 8) and early.views.dtype == torch.float16
    assert early.masks[1, 0].nonzero().tolist() == [[2, 4]]
    assert not torch.equal(early.views[:, 0], early.views[:, 1])


def test_frames_are_kept_as_they_are_where_nothing_is_frozen(whole):
    assert whole.views.shape == (6, 1, 3, 64, 64) and whole.views.dtype == torch.uint8


@pytest.mark.parametrize("recipe", [EARLY, WHOLE])
def test_frames_may_be_read_only(recipe):
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    frames.flags.writeable = False
    assert build_bank(build_network(recipe), frames, [0, 1], recipe).labels.tolist() == [0, 1]


def test_parts_share_the_stored_views(early):
    assert early.part([0, 2], np.array([0.5, 0.5])).views is early.views


def test_digest_tells_frames_apart(early):
    assert make_bank(EARLY).digest == early.digest != make_bank(EARLY, 5).digest


def test_frames_without_weight_are_never_drawn(early):
    chosen = early.part([1], np.array([1.0]))
    assert all((batch.targets.argmax(1) == 1).all() for batch in Draws(chosen, EARLY, 2))


@pytest.mark.parametrize("recipe", [EARLY, WHOLE])
def test_draws_differ_between_epochs_and_depend_on_nothing_else(recipe):
    bank = make_bank(recipe)
    epochs = [numbers(Draws(bank, recipe, 2, epoch)) for epoch in (0, 1, 0)]
    assert torch.equal(epochs[0], epochs[2]) and not torch.equal(epochs[0], epochs[1])


def test_without_a_number_of_draws_every_frame_comes_once(whole):
    draws = Draws(whole.part(range(5), np.ones(5)), WHOLE, 2)
    assert [len(batch.views) for batch in draws] == [4, 1]
    assert sorted(draws.frames.tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("mixup", [0.0, 0.4])
@pytest.mark.parametrize("recipe", [EARLY, WHOLE])
def test_processes_share_each_batch_out(recipe, mixup):
    recipe = msgspec.structs.replace(recipe, mixup=mixup)
    bank = make_bank(recipe)
    alone = next(iter(Draws(bank, recipe, 2)))
    for place in (0, 1):
        mine = next(iter(Draws(bank, recipe, 2, 0, Rank(place, 2))))
        for name in ("views", "targets", "masks", "shares", "found"):
            assert torch.equal(getattr(mine, name), getattr(alone, name)[place::2]), name


def test_a_process_without_a_share_of_the_last_batch_adds_nothing(whole):
    last = list(Draws(whole.part(range(5), np.ones(5)), WHOLE, 2, 0, Rank(1, 2)))[-1]
    assert len(last.views) == 1 and last.shares.tolist() == [0] and last.found.tolist() == [0]


def test_views_made_ahead_by_workers_are_the_same(whole):
    draws = Draws(whole, WHOLE, 2)
    assert torch.equal(numbers(feed(draws, 2)), numbers(draws))


def test_mask_moves_along_where_views_are_made_for_each_draw():
    still = msgspec.structs.replace(WHOLE, augment=Augment(1, *[0] * 8), draws=40)
    bank = make_bank(still).part([1], np.ones(1))
    columns = {tuple(m.nonzero()[0].tolist()) for b in Draws(bank, still, 2) for m in b.masks}
    assert columns == {(2, 3)}  # every view is mirrored: column 4 of 8 becomes 3


def test_mixing_blends_views_and_targets_alike(early):
    batch = next(iter(Draws(early, msgspec.structs.replace(EARLY, mixup=1.0), 2, 1)))
    plain = next(iter(Draws(early, EARLY, 2, 1)))
    share = (batch.views - plain.views.flip(0)) / (plain.views.float() - plain.views.flip(0))
    wanted = float(share.nanmedian())
    mixed = wanted * plain.targets + (1 - wanted) * plain.targets.flip(0)
    assert torch.allclose(batch.targets, mixed, atol=1e-2)


def test_classes_and_clips_are_drawn_equally_often():
    # class 0: a clip of three frames and a clip of one; class 1: one frame
    weights = draw_weights([0, 0, 0, 0, 1], ["a", "a", "a", "b", "c"])
    assert weights.tolist() == pytest.approx([1 / 12] * 3 + [1 / 4, 1 / 2])
