"""Facts about deletion, insertion and shuffled weights."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tests.networks import make_network
from tests.test_attribution import SIDE, linear_network, picture
from train.attribution.checks import (
    check,
    deletion_insertion,
    random_orders,
    randomised_weights,
    rank_correlation,
    shuffle_weights,
)
from train.attribution.maps import Attribution, Checks
from train.attribution.methods import explain

FRAME = picture()


def evidence_network(pixels):
    """Return a network that looks for `pixels` (H, W) in the upper left quarter, and its evidence.

    It adds up the colours there, each times the value that `pixels` has at its place.
    """
    network, _ = linear_network()
    weight = np.zeros((2, 3, SIDE, SIDE), np.float32)
    weight[1, :, : SIDE // 2, : SIDE // 2] = pixels[: SIDE // 2, : SIDE // 2]
    weight *= 5.0 / np.abs(weight[1] * FRAME.transpose(2, 0, 1)).sum()
    with torch.no_grad():
        network.head.last.weight.copy_(torch.from_numpy(weight.reshape(2, -1)))
    return network, (weight[1] * FRAME.transpose(2, 0, 1)).sum(0)


def light_network():
    return evidence_network(np.ones((SIDE, SIDE)))


def test_the_evidence_deletes_better_than_chance_and_upside_down_worse():
    network, evidence = light_network()
    deletions, _ = random_orders(network, FRAME, 1, 0)
    assert deletion_insertion(network, FRAME, evidence, 1)[0] < min(deletions) - 0.05
    assert deletion_insertion(network, FRAME, -evidence, 1)[0] > max(deletions) + 0.05


def test_the_evidence_inserts_better_than_chance_and_upside_down_worse():
    detail = FRAME[..., 0] - cv2.GaussianBlur(FRAME, (0, 0), SIDE / 16)[..., 0].astype(np.float32)
    network, _ = evidence_network(detail)
    evidence = np.zeros((SIDE, SIDE), np.float32)
    evidence[: SIDE // 2, : SIDE // 2] = detail[: SIDE // 2, : SIDE // 2] ** 2
    _, insertions = random_orders(network, FRAME, 1, 0)
    assert deletion_insertion(network, FRAME, evidence, 1)[1] > max(insertions)
    assert deletion_insertion(network, FRAME, -evidence, 1)[1] < min(insertions)


def test_areas_of_one_step_are_the_mean_of_both_ends():
    network, evidence = light_network()
    light = 5.0
    ends = 1 / (1 + np.exp(-light)), 0.5
    deletion, _ = deletion_insertion(network, FRAME, evidence, 1, steps=1)
    assert deletion == pytest.approx(sum(ends) / 2, abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-30])
def test_a_uniform_map_is_not_faithful(value):
    flat = Attribution(np.full((SIDE, SIDE), value, np.float32), signed=True)
    network, _ = light_network()
    assert deletion_insertion(network, FRAME, flat.map, 1) is None
    found = check(network, FRAME, 1, {"cam": flat}, 0)["cam"]
    assert not (found.deletes_well or found.inserts_well or found.depends_on_weights)


def test_a_map_must_beat_every_random_order():
    checks = Checks(0.4, 0.6, (0.5, 0.39), (0.5, 0.61), 0.1)
    assert not checks.deletes_well
    assert not checks.inserts_well
    assert checks.depends_on_weights


def test_random_orders_repeat_for_a_seed():
    network, _ = light_network()
    assert random_orders(network, FRAME, 1, 4) == random_orders(network, FRAME, 1, 4)
    assert random_orders(network, FRAME, 1, 4) != random_orders(network, FRAME, 1, 5)


def test_rank_correlation_sees_the_order_only():
    one = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert rank_correlation(one, one**3) == pytest.approx(1.0)
    assert rank_correlation(one, np.exp(-one)) == pytest.approx(-1.0)
    assert rank_correlation(one - 8, 8 - one) == pytest.approx(1.0, abs=0.02)  # same magnitudes
    assert rank_correlation(one, np.ones_like(one)) is None


def test_a_map_that_shuffled_weights_leave_as_it_was_fails():
    network, frame = make_network(), picture(side=64)
    same = explain(shuffle_weights(network, frame, 0), frame, 1, ["gradient"], 0)
    found = randomised_weights(network, frame, 1, same, 0)["gradient"]
    assert found == pytest.approx(1.0)
    assert not Checks(0.1, 0.9, (0.5,), (0.5,), found).depends_on_weights


def test_shuffled_weights_keep_values_and_spread_of_signals():
    network = make_network(backbones=("mobilenetv2_100",), frozen="none")
    frame = picture(side=64)
    shuffled = shuffle_weights(network, frame, 0)
    for one, other in zip(network.parameters(), shuffled.parameters(), strict=True):
        assert torch.equal(one.flatten().sort().values, other.flatten().sort().values)
    first = next(network.parameters())
    assert not torch.equal(first, next(shuffled.parameters()))
    found = explain(shuffled, frame, 1, ["gradient", "cam"], 0)
    assert not found["gradient"].flat and not found["cam"].flat
    assert not any(part.training for part in shuffled.modules())


def test_the_network_is_left_as_it_was():
    network = make_network()
    before = nn.utils.parameters_to_vector(network.parameters()).clone()
    check(network, picture(side=64), 1, explain(network, picture(side=64), 1, ["cam"], 0), 0)
    assert torch.equal(before, nn.utils.parameters_to_vector(network.parameters()))
