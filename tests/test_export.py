"""Facts about exported models: every kind of head and body keeps the contract, with its maps."""

import re

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch
from captum.attr import LayerGradCam

from engines.base import run_frames
from engines.errors import EngineError
from engines.load import load_model
from engines.open import open_engine
from tests.networks import HEADS, make_network
from tests.tiny_model import SPEC
from train.nets.cascade import Cascade, pick
from train.nets.export import OUTPUT_NAMES, Deployed, check_parity, export_model, stamp

MOBILENET = ("mobilenetv2_100",)
REGIONS = ("elbow", "wrist")


def make_cascade():
    router = make_network(
        target="region", regions=REGIONS, backbones=MOBILENET, head=HEADS["router"]
    )
    return Cascade(router, make_network(regions=REGIONS, backbones=MOBILENET), len(REGIONS)).eval()


NETWORKS = {
    "plain": lambda: make_network(frozen="early", backbones=MOBILENET),
    "neck": lambda: make_network(frozen="early", backbones=MOBILENET, neck=96),
    "texture": lambda: make_network(
        frozen="early", backbones=MOBILENET, stages=4, head=HEADS["moments"]
    ),
    "flatten": lambda: make_network(head=HEADS["flatten single"]),
    "deep": lambda: make_network(head=HEADS["puj"]),
    "auto-pcos": lambda: make_network(head=HEADS["auto-pcos"]),
    "joined": lambda: make_network(backbones=("small-cnn", "small-cnn")),
    "cascade": make_cascade,
}


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, tmp_path_factory):
    network = NETWORKS[request.param]()
    spec = msgspec.structs.replace(
        SPEC,
        name="net",
        classes=("normal", "dilated"),
        positive_class="dilated",
        input_wh=(64, 64),
        cam_kind=network.cam_kind,
    )
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    export_model(network, spec, path)
    return network, path, spec


def draw_frames(count):
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3)).astype(np.uint8)


def run_onnx(path, frames):
    return onnxruntime.InferenceSession(path.read_bytes()).run(
        list(OUTPUT_NAMES), {"frames": frames}
    )


def test_exported_model_passes_the_loader_with_its_spec(exported):
    _, path, spec = exported
    assert load_model(path).spec == spec


@pytest.mark.parametrize("count", [1, 3])
def test_exported_model_equals_torch_at_any_batch(exported, count):
    network, path, spec = exported
    frames = draw_frames(count)
    with torch.no_grad():
        wanted = Deployed(network, spec.temperature).eval()(torch.from_numpy(frames))
    for ours, theirs in zip(run_onnx(path, frames), wanted, strict=True):
        assert np.abs(ours - theirs.numpy()).max() < 1e-4 * max(1, theirs.abs().max())


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_exported_model_runs_in_the_engines_with_parity(exported, engine):
    network, path, spec = exported
    opened = open_engine(load_model(path), engine)
    try:
        parity = check_parity(network, opened, draw_frames(3), spec.temperature)
    finally:
        opened.close()
    assert set(parity) == set(OUTPUT_NAMES)


def test_exported_map_is_captums_grad_cam_or_sums_to_the_logit(exported):
    network, path, _ = exported
    frames = draw_frames(2)
    logits, _, cam, _ = run_onnx(path, frames)
    head = getattr(network, "looker", network).head
    if network.cam_kind == "grad-cam":
        planes = torch.from_numpy(frames).permute(0, 3, 1, 2).float().requires_grad_()
        found = LayerGradCam(network, head.before).attribute(planes, 1, relu_attributions=True)
        assert np.abs(cam[:, 1] - found[:, 0].detach().numpy()).max() < 1e-4 * max(1, cam.max())
    elif not isinstance(network, Cascade):
        bias = (head.spread @ head.last.bias).detach().numpy()
        assert np.abs(cam.sum((2, 3)) + bias - logits).max() < 1e-3 * max(1, np.abs(logits).max())


def test_probs_are_softmax_of_logits_over_temperature(exported):
    _, path, _ = exported
    logits, probs, _, _ = run_onnx(path, draw_frames(2))
    powers = np.exp((logits - logits.max()) / 2.0)
    assert np.abs(probs - powers / powers.sum(axis=1, keepdims=True)).max() < 1e-5


def test_exported_file_holds_no_local_path(exported):
    assert b"/work" not in exported[1].read_bytes()
    assert not re.search(rb"[a-z_/]{4,}\.py", exported[1].read_bytes())


def test_a_stamp_changes_the_spec_and_nothing_else(exported, tmp_path):
    _, path, spec = exported
    copied = tmp_path / "net.onnx"
    copied.write_bytes(path.read_bytes())
    stamp(copied, msgspec.structs.replace(spec, name="other"), copied)
    assert load_model(copied).spec.name == "other"
    stamp(copied, spec, copied)
    assert copied.read_bytes() == path.read_bytes()


def test_export_twice_is_byte_identical(tmp_path):
    network, paths = NETWORKS["flatten"](), (tmp_path / "one.onnx", tmp_path / "two.onnx")
    for path in paths:
        export_model(network, msgspec.structs.replace(SPEC, input_wh=(64, 64)), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_engine_of_other_weights_is_refused(tmp_path):
    spec = msgspec.structs.replace(SPEC, input_wh=(64, 64))
    export_model(make_network(), spec, tmp_path / "net.onnx")
    opened = open_engine(load_model(tmp_path / "net.onnx"), "onnxruntime")
    try:
        with pytest.raises(EngineError, match="engine and torch differ"):
            check_parity(make_network(seed=1), opened, draw_frames(2), spec.temperature)
    finally:
        opened.close()


def test_a_cascade_answers_as_the_head_of_the_chosen_region():
    answers = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    chosen = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert pick(answers, chosen).tolist() == [[1.0, 2.0], [7.0, 8.0]]


def test_engine_answers_are_those_of_one_frame_at_a_time(exported):
    _, path, _ = exported
    opened = open_engine(load_model(path), "openvino")
    try:
        together = run_frames(opened, draw_frames(2)).logits
        alone = [run_frames(opened, frame[None]).logits[0] for frame in draw_frames(2)]
    finally:
        opened.close()
    assert np.allclose(together, np.stack(alone), atol=1e-3 * max(1, np.abs(together).max()))
