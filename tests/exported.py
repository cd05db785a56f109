"""Networks for tests/test_exported_models.py, exported once; weights are random but calm.

In a random network many units sit at the corner of their activation, where float32 rounding alone
decides the gradient. Batch normalisations that spread less, around 1, keep them off the corners.
"""

import functools
import tempfile
from pathlib import Path

import msgspec
import torch

from engines.load import load_model
from tests.graph_answers import draw_frames
from tests.networks import HEADS, make_network
from tests.tiny_model import SPEC
from train.nets.cascade import Cascade
from train.nets.export import export_model
from train.nets.models import settle_norms

PX = 64
SPREAD = 0.4
REGIONS = ("elbow", "wrist")
SMALL = ("moments", "flatten single", "puj", "auto-pcos")
LARGE = ("mobilenetv2_100", "mobilenetv3_large_100")


def make_cascade():
    router = make_network(target="region", regions=REGIONS, head=HEADS["router"])
    return Cascade(router, make_network(regions=REGIONS), len(REGIONS)).eval()


def make_calm(name):
    network = make_network(backbones=(name,), input_px=PX)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.weight, SPREAD)
            torch.nn.init.constant_(module.bias, 1.0)
        if hasattr(module, "conv_reduce"):  # of a squeeze-and-excitation block, before a ReLU
            torch.nn.init.constant_(module.conv_reduce.bias, 1.0)
    settle_norms(network, torch.from_numpy(draw_frames(8, PX)).permute(0, 3, 1, 2).float())
    return network


@functools.cache
def export_once(name):
    """Return a network and its exported model: a kind of head, a backbone, or a cascade."""
    if name == "cascade":
        network = make_cascade()
    elif name in HEADS:
        network = make_network(head=HEADS[name])
    else:
        network = make_calm(name)
    spec = msgspec.structs.replace(SPEC, input_wh=(PX, PX), cam_kind=network.cam_kind)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export_model(network, spec, path)
        return network, load_model(path)
