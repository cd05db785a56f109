"""Facts about what a training view may differ in from its frame."""

import msgspec
import pytest
import torch

from tests.networks import make_recipe
from train.fitting.augment import augment, find_sector
from train.recipe import Augment

STILL = Augment(*[0] * 9)


def seeded():
    return torch.Generator().manual_seed(0)


def only(**changes):
    return msgspec.structs.replace(STILL, **changes)


def fan():
    """Return a bright triangle with a black spot inside it, 32 x 32."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    picture = ((columns - 15.5).abs() < rows / 2).float() * 200
    picture[20:24, 14:18] = 0
    return picture.expand(1, 3, 32, 32).clone()


def test_augmentation_of_no_size_changes_nothing():
    frames = torch.rand(2, 3, 32, 32) * 255
    assert torch.allclose(augment(frames, STILL, seeded()), frames, atol=1e-2)


def test_changes_that_are_off_draw_no_random_numbers():
    plain, off = (torch.Generator().manual_seed(3) for _ in range(2))
    augment(fan(), STILL, plain)
    augment(fan(), only(shear_deg=0, depth=0, gain_curve=0, keep_sector=0), off)
    assert torch.equal(plain.get_state(), off.get_state())
    augment(fan(), only(depth=0.1), off)
    assert not torch.equal(plain.get_state(), off.get_state())


def test_mask_moves_with_its_frame():
    frames = torch.zeros(1, 4, 32, 32)
    frames[:, :, 8:16, 4:12] = 255
    how = Augment(1, 10, 0.2, 0.1, 0, 0, 0, 0, 0, shear_deg=10, depth=0.2)
    moved = augment(frames, how, seeded())
    assert torch.allclose(moved[:, 0], moved[:, 3], atol=1e-2)
    assert not torch.allclose(moved, frames, atol=1)


def test_views_stay_within_the_range_of_a_picture():
    how = msgspec.structs.replace(make_recipe().augment, gain_curve=0.5, depth=0.2, shear_deg=10)
    views = augment(torch.rand(4, 3, 48, 48) * 255, how, seeded())
    assert views.min() >= 0 and views.max() <= 255


def test_depth_scales_about_the_middle_of_the_upper_edge():
    # A line straight down from there stays where it is, and its row 0 keeps its brightness.
    frames = torch.zeros(1, 3, 32, 32)
    frames[..., 15:17] = 100
    frames[..., 0, 15:17] = 200
    view = augment(frames, only(depth=0.1), seeded())
    assert view[0, 0, 1:, 14:18].sum(1).std() < 40 and view[0, 0, 0, 15] > 150


def test_shear_keeps_rows_at_their_height():
    frames = torch.zeros(1, 3, 33, 33)
    frames[..., 8, :] = 100
    view = augment(frames, only(shear_deg=20), seeded())
    assert torch.allclose(view[0, 0, :, 16], frames[0, 0, :, 16], atol=0.1)


def test_gain_curve_is_smooth_over_depth_and_even_across():
    view = augment(torch.full((1, 3, 64, 64), 100.0), only(gain_curve=0.5), seeded())[0, 0]
    assert torch.allclose(view, view[:, :1].expand(64, 64), atol=1e-3)
    assert 100 / 1.5 <= view.min() < view.max() <= 150
    assert view[:, 0].diff().abs().max() < 8


def test_sector_includes_black_spots_inside_it_only():
    sector = find_sector(fan())[0, 0]
    assert sector[20:24, 14:18].all() and not sector[10, 0] and not sector[2, 31]


def test_outside_of_the_sector_stays_black_after_a_move():
    how = only(rotate_deg=45, shift=0.2, keep_sector=1.0)
    view = augment(fan(), how, seeded())
    outside = ~find_sector(fan()).expand(1, 3, 32, 32)
    assert view[outside].max() == 0
    assert augment(fan(), only(rotate_deg=45, shift=0.2), seeded())[outside].max() > 0


@pytest.mark.parametrize("name", ["gain_curve", "depth", "shear_deg", "keep_sector"])
def test_same_seed_gives_the_same_view(name):
    how = only(rotate_deg=20, **{name: 0.4})
    assert torch.equal(augment(fan(), how, seeded()), augment(fan(), how, seeded()))
