"""Facts about heads: the closed-form maps are the gradients, and the logits those of one unit."""

import pytest
import torch
from captum.attr import LayerGradCam

from tests.networks import HEADS
from train.nets.heads import Head, Moments
from train.recipe import HeadPlan


def make_head(name, positive=1):
    torch.manual_seed(0)
    head = Head(HEADS[name], (12, 8, 8), 2, positive).eval()
    torch.nn.init.normal_(head.last.weight)
    torch.nn.init.normal_(head.last.bias)
    return head


def some_maps(head):
    backbone = torch.randn(4, 12, 8, 8, generator=torch.Generator().manual_seed(1))
    return head.maps(backbone).detach()


class FromMaps(torch.nn.Module):
    """Logits of the explained map, for captum to look into."""

    def __init__(self, head):
        super().__init__()
        self.head, self.maps = head, torch.nn.Identity()

    def forward(self, maps):
        return self.head.logits(self.maps(maps))


@pytest.mark.parametrize("name", [n for n in HEADS if make_head(n).cam_kind == "grad-cam"])
@pytest.mark.parametrize("target", [0, 1])
def test_map_of_a_deep_head_is_captums_grad_cam(name, target):
    head = make_head(name)
    maps, module = some_maps(head), FromMaps(head)
    wanted = LayerGradCam(module, module.maps).attribute(maps, target, relu_attributions=True)
    assert torch.allclose(head.cam(maps)[:, target], wanted[:, 0], atol=1e-5)


@pytest.mark.parametrize("name", [n for n in HEADS if make_head(n).cam_kind == "cam"])
def test_map_of_a_linear_head_sums_to_the_logit_less_the_bias(name):
    head = make_head(name)
    maps = some_maps(head)
    bias = head.spread @ head.last.bias
    assert torch.allclose(head.cam(maps).sum((2, 3)) + bias, head.logits(maps), atol=1e-4)


@pytest.mark.parametrize("positive", [0, 1])
def test_two_classes_of_one_unit_have_its_sigmoid(positive):
    head = make_head("flatten single", positive)
    maps = some_maps(head)
    unit = head.last(maps.flatten(1))[:, 0]
    probs = torch.softmax(head.logits(maps), 1)[:, positive]
    assert torch.allclose(probs, torch.sigmoid(unit), atol=1e-6)


@pytest.mark.parametrize(("once", "widths"), [(False, [12, 8, 5]), (True, [12])])
def test_dropout_is_before_each_layer_or_before_the_first_alone(once, widths):
    head, seen = Head(HeadPlan(hidden=(8, 5), drop_once=once), (12, 8, 8), 2), []
    head.drop.register_forward_hook(lambda _module, _given, values: seen.append(values.shape[1]))
    head.logits(torch.zeros(1, 12, 8, 8))
    assert seen == widths


def test_penultimate_values_enter_the_last_layer():
    head = make_head("deep")
    maps = some_maps(head)
    assert torch.allclose(head.last(head.penultimate(maps)), head.logits(maps), atol=1e-6)


def test_average_of_moments_is_mean_and_variance():
    maps = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    found = Moments()(maps).mean((2, 3))
    wanted = torch.cat([maps.mean((2, 3)), maps.var((2, 3), correction=0)], 1)
    assert torch.allclose(found, wanted, atol=1e-6)
