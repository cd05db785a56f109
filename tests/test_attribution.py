"""Facts about attribution maps, by hand-worked networks and by one with random weights."""

import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import train
from stream.errors import UsageError
from tests.networks import make_network
from tests.pictures import speckle
from train.attribution.maps import Attribution
from train.attribution.methods import METHODS, explain
from train.attribution.question import to_frames
from train.nets.cascade import Cascade
from train.nets.heads import Head
from train.nets.models import Network
from train.recipe import HeadPlan

SIDE = 32


class Pixels(nn.Module):
    """A body whose map is the frame itself."""

    textured = False

    def __init__(self):
        super().__init__()

    def fixed(self):
        return []

    def stem(self, frames):
        return frames

    def tail(self, stored):
        return stored


def linear_network(scale=1e-3):
    """Return a network whose logits are linear in the pixels, with its weights (C, 3, H, W)."""
    torch.manual_seed(3)
    network = Network(Pixels(), Head(HeadPlan(pool="flatten"), (3, SIDE, SIDE), 2)).eval()
    nn.init.normal_(network.head.last.weight, std=scale)
    return network, network.head.last.weight.detach().view(2, 3, SIDE, SIDE).numpy()


def picture(seed=0, side=SIDE):
    grey = speckle(seed, (side, side))
    return np.stack([grey, grey // 2, 255 - grey], axis=2)


@pytest.mark.parametrize("method", ["cam", "integrated-gradients"])
def test_map_of_a_linear_network_is_weight_times_pixel(method):
    network, weight = linear_network()
    frame = picture()
    found = explain(network, frame, 1, [method], 0)[method]
    worked = (weight[1] * frame.transpose(2, 0, 1)).sum(0)
    np.testing.assert_allclose(found.map, worked, rtol=1e-4, atol=1e-5)
    assert found.signed


@pytest.mark.parametrize("method", ["gradient", "smooth-grad"])
def test_gradient_of_a_linear_network_is_its_largest_weight(method):
    network, weight = linear_network()
    found = explain(network, picture(), 0, [method], 0)[method]
    np.testing.assert_allclose(found.map, np.abs(weight[0]).max(0), rtol=1e-5)


def test_saturation_of_a_linear_network_follows_the_sigmoid():
    network, weight = linear_network(1e-2)
    frame = picture()
    found = explain(network, frame, 1, ["gradient-saturation"], 0)["gradient-saturation"]
    slope = float(((weight[1] - weight[0]) * frame.transpose(2, 0, 1)).sum())
    curve = found.saturation
    score = 1 / (1 + np.exp(-slope * curve.shares))
    np.testing.assert_allclose(curve.scores, score, atol=1e-5)
    steepness = score * (1 - score) * np.abs(weight[1] - weight[0]).mean()
    np.testing.assert_allclose(curve.gradients, steepness, rtol=1e-3, atol=1e-7)


def test_lime_finds_the_superpixel_that_counts():
    network, _ = linear_network()
    with torch.no_grad():
        network.head.last.weight.zero_()
        network.head.last.weight.view(2, 3, SIDE, SIDE)[1, :, :8, :8] = 1e-3
    found = explain(network, picture(), 1, ["lime"], 0)["lime"].map
    assert found[:8, :8].mean() > 10 * np.abs(found[16:, 16:]).mean()


@pytest.mark.parametrize("plan", [HeadPlan(), HeadPlan(conv=6, max_pool=2, hidden=(8,))])
def test_grad_cam_of_captum_is_the_map_of_the_head(plan):
    network = make_network(head=plan)
    found = explain(network, picture(side=64), 1, ["cam", "grad-cam"], 0)["grad-cam"].map
    with torch.no_grad():
        cam = network.reveal(to_frames(network, picture(side=64)))[1][0, 1].relu().numpy()
    wanted = cv2.resize(cam, (64, 64), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * cam.max())


def test_a_cascade_is_explained_like_a_network():
    router = make_network(target="region", regions=("elbow", "wrist"))
    looker = make_network(regions=("elbow", "wrist"))
    found = explain(Cascade(router, looker, 2).eval(), picture(side=64), 1, ["cam", "grad-cam"], 0)
    assert found["cam"].map.shape == (64, 64)
    assert found["grad-cam"].map.min() >= 0


def test_integrated_gradients_of_a_deep_network_are_complete():
    network = make_network(head=HeadPlan(hidden=(8, 5)))
    found = explain(network, picture(side=64), 1, ["integrated-gradients"], 0)
    answer = found["integrated-gradients"]
    assert answer.completeness_error <= 0.05
    with torch.no_grad():
        ends = network(to_frames(network, np.stack([picture(side=64) * 0, picture(side=64)])))
    change = float(ends[1, 1] - ends[0, 1])
    assert answer.map.sum() == pytest.approx(change, rel=0.05)


def test_completeness_of_a_black_frame_is_unknown():
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    found = explain(linear_network()[0], black, 1, ["integrated-gradients"], 0)
    assert found["integrated-gradients"].completeness_error is None
    assert found["integrated-gradients"].flat


def test_maps_are_the_same_for_the_same_seed_whatever_else_is_asked():
    network = make_network()
    state = torch.random.get_rng_state()
    every = explain(network, picture(side=64), 1, list(METHODS), 5)
    for name in ("smooth-grad", "lime"):
        alone = explain(network, picture(side=64), 1, [name], 5)[name]
        assert np.array_equal(alone.map, every[name].map)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_frozen_backbone_is_explained_and_left_as_it_was():
    network = make_network(backbones=("mobilenetv2_100",), frozen="early").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = explain(network, picture(side=64), 0, list(METHODS), 0)
    assert all(a.map.shape == (64, 64) and not a.flat for a in found.values())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training and not any(p.grad is not None for p in network.parameters())


def test_f08_values_that_are_not_finite_are_counted_and_zero():
    network, _ = linear_network()
    with torch.no_grad():
        network.head.last.weight.view(2, 3, SIDE, SIDE)[1, 0, 0, :4] = float("nan")
    for name, found in explain(network, picture(), 1, list(METHODS)[:6], 0).items():
        assert np.isfinite(found.map).all(), name
        assert found.lost > 0, name


def test_a_map_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite"):
        Attribution(np.full((2, 2), np.nan, np.float32), signed=True)


def test_a_grey_frame_is_refused():
    with pytest.raises(ValueError, match="expected \\(H, W, 3\\) uint8"):
        explain(linear_network()[0], picture()[..., 0], 1, ["cam"], 0)


def test_c06_unknown_method_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'grad-cam'"):
        explain(linear_network()[0], picture(), 1, ["gradcam"], 0)


def test_methods_of_all_recipes_are_known():
    recipes = [path.read_text() for path in Path(train.__file__).parent.glob("recipes/*.toml")]
    asked = {name for text in recipes for name in tomllib.loads(text).get("attribution", ())}
    assert asked and asked <= set(METHODS)
