"""Small networks for tests of everything that trains or explains."""

import torch

from train.nets.models import Network, build_network
from train.recipe import HeadPlan, Recipe

HEADS = {
    "linear": HeadPlan(),
    "moments": HeadPlan(moments=True),
    "deep": HeadPlan(hidden=(8, 5)),
    "flatten": HeadPlan(pool="flatten"),
    "flatten single": HeadPlan(pool="flatten", single=True),
    "puj": HeadPlan(conv=6, max_pool=2, hidden=(4,)),
    "auto-pcos": HeadPlan(
        norm=True, conv=7, pad=False, max_pool=3, pool="flatten", hidden=(9,), single=True
    ),
    "router": HeadPlan(pool="flatten", hidden=(9,)),
}


def make_recipe(**changes) -> Recipe:
    """Return the recipe of a small network for two classes."""
    values = {
        "name": "tiny",
        "variant": "tiny",
        "profile": "sound",
        "classes": ("normal", "dilated"),
        "positive_class": "dilated",
        "licence": "none",
        "intended_use": "tests; not a medical device",
        "input_px": 64,
        "backbones": ("small-cnn",),
        "frozen": "all",
    }
    return Recipe(**{**values, **changes})


def make_network(**changes) -> Network:
    """Return a small network whose last layer says something, in inference mode."""
    network = build_network(make_recipe(**changes)).eval()
    torch.nn.init.normal_(network.head.last.weight, std=0.5)
    return network
