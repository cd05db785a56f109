"""Facts about stored views: what changes, what moves along, what is drawn."""

import dataclasses

import msgspec
import numpy as np
import pytest
import torch

from train.augment import augment
from train.bank import Draws, build_bank, draw_weights
from train.fit import pointing_loss
from train.models import Classifier, load_backbone
from train.recipe import Augment, read_recipe

STILL = Augment(0, 0, 0, 0, 0, 0, 0, 0, 0)
RECIPE = msgspec.structs.replace(
    read_recipe("phantom-kidney"), input_px=64, views=3, draws=8, batch=4
)


def seeded():
    return torch.Generator().manual_seed(0)


def test_augmentation_of_no_size_changes_nothing():
    frames = torch.rand(2, 3, 32, 32) * 255
    assert torch.allclose(augment(frames, STILL, seeded()), frames, atol=1e-2)


def test_mask_moves_with_its_frame():
    frames = torch.zeros(1, 4, 32, 32)
    frames[:, :, 8:16, 4:12] = 255
    moved = augment(frames, Augment(1, 10, 0.2, 0.1, 0, 0, 0, 0, 0), seeded())
    assert torch.allclose(moved[:, 0], moved[:, 3], atol=1e-2)
    assert not torch.allclose(moved, frames, atol=1)


def test_views_stay_within_the_range_of_a_picture():
    views = augment(torch.rand(4, 3, 48, 48) * 255, RECIPE.augment, seeded())
    assert views.min() >= 0 and views.max() <= 255


@pytest.fixture(scope="module")
def bank():
    torch.manual_seed(0)
    model = Classifier("mobilenetv2_100", 2, neck=16)
    inputs = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    masks = np.zeros((4, 64, 64), np.uint8)
    masks[1, 16:24, 32:40] = 255
    return build_bank(model, inputs, [0, 1, 0, 0], RECIPE, masks)


def test_first_view_is_the_frame_and_its_mask(bank):
    assert bank.views.shape == (4, 3, 32, 8, 8)
    assert bank.masks[1, 0].nonzero().tolist() == [[2, 4]]
    assert not torch.equal(bank.views[:, 0], bank.views[:, 1])


def test_frames_without_weight_are_never_drawn(bank):
    chosen = bank.part([1], np.array([1.0]))
    assert all((labels == 1).all() for _, labels, _ in Draws(chosen, RECIPE))


def test_draws_differ_between_epochs_and_repeat_between_runs(bank):
    first, again = Draws(bank, RECIPE), Draws(bank, RECIPE)
    epochs = [torch.cat([views for views, _, _ in first]) for _ in range(2)]
    assert torch.equal(epochs[0], torch.cat([views for views, _, _ in again]))
    assert not torch.equal(epochs[0], epochs[1])


def test_classes_and_clips_are_drawn_equally_often():
    # class 0: a clip of three frames and a clip of one; class 1: one frame
    weights = draw_weights([0, 0, 0, 0, 1], ["a", "a", "a", "b", "c"])
    assert weights.tolist() == pytest.approx([1 / 12] * 3 + [1 / 4, 1 / 2])


def test_pointing_loss_falls_as_the_peak_moves_onto_the_finding():
    masks = torch.zeros(1, 4, 4, dtype=torch.uint8)
    masks[0, 1, 2] = 255
    on, off = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    on[0, 1, 2], off[0, 3, 0] = 5.0, 5.0
    flat = pointing_loss(torch.zeros(1, 4, 4), masks)
    assert flat == pytest.approx(np.log(16), abs=1e-4)
    assert pointing_loss(on, masks) < flat < pointing_loss(off, masks)


def test_frames_without_a_finding_have_no_pointing_loss():
    assert pointing_loss(torch.rand(2, 4, 4), torch.zeros(2, 4, 4, dtype=torch.uint8)) == 0


def test_torchvision_weights_load_by_order_and_give_the_same_map(tmp_path):
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    theirs = mobilenet_v2().eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = Classifier("mobilenetv2_100", 2).eval()
    load_backbone(ours, "mobilenetv2_100", tmp_path / "weights.pth")
    frames = torch.rand(1, 3, 64, 64) * 255
    wanted = theirs.features((frames - ours.mean) / ours.std)
    assert torch.allclose(ours.tail(ours.stem(frames)), wanted, atol=1e-5)


def test_bank_is_unchanged_by_taking_a_part(bank):
    part = bank.part([0, 2], np.array([0.5, 0.5]))
    assert dataclasses.replace(part, weights=bank.weights).views is bank.views
