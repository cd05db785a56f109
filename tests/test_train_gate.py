"""Facts about gate statistics and map scales."""

import numpy as np
import pytest
import torch

from train.nets.models import measure_texture
from train.scoring.gate import build_gate, read_textures, summarise
from train.scoring.reference import map_scale


def test_texture_is_the_standard_deviation_over_the_map():
    maps = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    wanted = maps.std((2, 3), correction=0)
    assert torch.allclose(measure_texture(maps), wanted, atol=1e-4)


def test_textures_of_all_views_are_listed_in_order():
    views = torch.rand(2, 3, 4, 5, 5).half()
    assert read_textures(views).shape == (6, 4)
    assert read_textures(views)[3] == pytest.approx(read_textures(views[1, :1])[0])


def test_gate_counts_texture_only_and_its_limit_is_in_its_own_units():
    seen = summarise(np.array([[0.0, 10.0], [2.0, 14.0]]))
    gate = build_gate(seen, np.array([2.0, 2.0]), 3, "two frames")
    # z-scores 3 and 3 on two of five features; limit 1.5 * 2 on the same two of five
    features = np.array([9.0, 9.0, 9.0, 4.0, 18.0], np.float32)
    z = (features - np.array(gate.center)) / np.array(gate.scale)
    assert np.sqrt(np.mean(z**2)) / gate.limit == pytest.approx(1.0, abs=1e-4)


def test_dead_channel_is_floored():
    seen = summarise(np.array([[0.0, 1.0, 5.0], [2.0, 1.0, 7.0]]))
    assert seen.scale.tolist() == pytest.approx([1.0, 0.1, 1.0])


def test_map_scale_is_taken_from_frames_of_its_class():
    peaks = np.array([[1.0, 9.0], [3.0, 9.0], [9.0, 5.0]], np.float32)
    scale = map_scale(peaks, np.array([0, 0, 1]))
    assert scale == pytest.approx((1 + 2 * 0.99, 5.0))


def test_class_without_frames_takes_the_largest_scale():
    peaks = np.array([[2.0, 1.0]], np.float32)
    assert map_scale(peaks, np.array([0])) == (2.0, 2.0)
