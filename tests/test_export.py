"""Facts about the exported model: its maps, its numbers, its contract."""

import re

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch
from captum.attr import LayerGradCam

from engines.load import load_model
from engines.spec import Gate
from tests.tiny_model import SPEC
from train.export import Deployed, export_model
from train.models import Classifier

NECKS = (0, 96)


def build_network(neck):
    torch.manual_seed(0)
    network = Classifier("mobilenetv2_100", 2, neck=neck).eval()
    torch.nn.init.normal_(network.head.weight, std=0.5)
    return network


@pytest.fixture(scope="module", params=NECKS, ids=["plain", "neck"])
def exported(request, tmp_path_factory):
    network = build_network(request.param)
    length = network.head.in_features + 32
    gate = Gate((0.0,) * length, (1.0,) * length, 1.0, "test")
    spec = msgspec.structs.replace(
        SPEC, name="net", classes=("normal", "dilated"), positive_class="dilated", gate=gate
    )
    spec = msgspec.structs.replace(spec, input_wh=(96, 64))
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    export_model(network, spec, path)
    return network, path, spec


def draw_frames(count):
    return np.random.default_rng(0).integers(0, 256, (count, 64, 96, 3)).astype(np.uint8)


def test_exported_model_passes_the_loader_with_its_spec(exported):
    _, path, spec = exported
    assert load_model(path).spec == spec


@pytest.mark.parametrize("count", [1, 3])
def test_exported_model_equals_torch_at_any_batch(exported, count):
    network, path, spec = exported
    frames = draw_frames(count)
    session = onnxruntime.InferenceSession(path.read_bytes())
    with torch.no_grad():
        wanted = Deployed(network, spec.temperature).eval()(torch.from_numpy(frames))
    for ours, theirs in zip(session.run(None, {"frames": frames}), wanted, strict=True):
        assert np.abs(ours - theirs.numpy()).max() < 1e-4


def test_map_equals_captum_grad_cam(exported):
    network, path, _ = exported
    frames = draw_frames(2)
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    last = network.neck if network.neck is not None else network.body.bn2
    cam = onnxruntime.InferenceSession(path.read_bytes()).run(["cam"], {"frames": frames})[0]
    for place in (0, 1):
        theirs = LayerGradCam(network, last).attribute(planes, target=place)
        assert np.abs(cam[:, place] - theirs[:, 0].detach().numpy()).max() < 1e-4


def test_map_and_bias_sum_to_the_logit(exported):
    network, path, _ = exported
    session = onnxruntime.InferenceSession(path.read_bytes())
    logits, cam = session.run(["logits", "cam"], {"frames": draw_frames(2)})
    sums = cam.sum(axis=(2, 3)) + network.head.bias.detach().numpy()
    assert np.abs(sums - logits).max() < 1e-4


def test_probs_are_softmax_of_logits_over_temperature(exported):
    _, path, _ = exported
    session = onnxruntime.InferenceSession(path.read_bytes())
    logits, probs = session.run(["logits", "probs"], {"frames": draw_frames(2)})
    powers = np.exp(logits / 2.0)
    assert np.abs(probs - powers / powers.sum(axis=1, keepdims=True)).max() < 1e-5


def test_exported_file_holds_no_local_path(exported):
    assert b"/work" not in exported[1].read_bytes()
    assert not re.search(rb"[a-z_/]{4,}\.py", exported[1].read_bytes())


def test_export_twice_is_byte_identical(exported, tmp_path):
    network, path, spec = exported
    export_model(network, spec, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == path.read_bytes()
