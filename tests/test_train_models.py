"""Facts about networks: their sizes are those published, and where weights come from."""

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision.models import densenet121, mobilenet_v2, resnet50, vgg16

from stream.errors import UsageError
from tests.networks import make_network, make_recipe
from train.nets.models import build_network, count_parameters, fill, load_backbones
from train.nets.weights import read_tensors
from train.study import read_study

PUBLISHED = {
    ("pcos-mobilenet", "mobilenetv1"): (50_177, 3_279_041),
    ("auto-pcos", "inception_v3"): (19_404_801, None),
}
IN_MILLIONS = {"router-densenet121": 8.64, "router-resnet50": 26.8}


@pytest.mark.parametrize("study", PUBLISHED, ids=lambda key: key[1])
def test_parameters_are_those_published(study):
    name, variant = study
    with torch.device("meta"):
        found = count_parameters(build_network(read_study(name, only=(variant,)).first))
    trained, total = PUBLISHED[study]
    assert found[0] == trained
    assert found[1] == total or total is None


@pytest.mark.parametrize("variant", IN_MILLIONS)
def test_routers_have_the_published_millions(variant):
    with torch.device("meta"):
        found = count_parameters(build_network(read_study("mura-hybrid").variants[variant]))
    assert found[1] / 1e6 == pytest.approx(IN_MILLIONS[variant], abs=0.05)


def test_vgg_gives_25088_features_to_the_support_vector_machine():
    with torch.device("meta"):
        network = build_network(read_study("puj", only=("vgg16-svc",)).first)
    assert network.head.last.in_features == 25_088


def test_custom_router_has_filters_of_32_64_64():
    network = build_network(read_study("mura-hybrid").variants["router-cnn"])
    convolutions = [m for m in network.body.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [32, 64, 64]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("vgg16", vgg16), ("densenet121", densenet121), ("resnet50", resnet50)],
)
def test_weights_of_torchvision_load_by_order(name, theirs):
    with torch.device("meta"):
        network = make_network(backbones=(name,))
        stored = theirs().state_dict()
    kept = {k: v for k, v in stored.items() if not k.startswith(("classifier", "fc"))}
    wanted = network.body.nets()[0].state_dict()
    assert [v.shape for v in kept.values()] == [v.shape for v in wanted.values()]


def test_torchvision_weights_give_the_same_map(tmp_path):
    torch.manual_seed(0)
    mobilenet = mobilenet_v2().eval()
    torch.save(mobilenet.state_dict(), tmp_path / "weights.pth")
    recipe = make_recipe(backbones=("mobilenetv2_100",), frozen="early")
    network = build_network(recipe).eval()
    assert load_backbones(network, recipe, tmp_path / "weights.pth") == "weights.pth"
    frames = torch.rand(1, 3, 64, 64) * 255
    wanted = mobilenet.features(network.body.normalise(frames))
    assert torch.allclose(network.tail(network.stem(frames)), wanted, atol=1e-5)


def test_a_folder_of_weights_is_searched_by_backbone(tmp_path):
    recipe = make_recipe(backbones=("mobilenetv2_100",))
    stored = build_network(recipe).body.nets()[0].state_dict()
    safetensors.torch.save_file(stored, tmp_path / "mobilenetv2_100.safetensors")
    network = build_network(recipe)
    assert load_backbones(network, recipe, tmp_path) == "mobilenetv2_100.safetensors"
    with pytest.raises(UsageError, match="no weights for vgg16"):
        load_backbones(network, make_recipe(backbones=("vgg16",)), tmp_path)


def test_random_start_is_said():
    recipe = make_recipe(backbones=("mobilenetv2_100",))
    said = load_backbones(build_network(recipe), recipe, Path("random"))
    assert said.startswith("random start")


def test_weights_of_another_network_are_refused():
    net = make_network(backbones=("mobilenetv2_100",)).body.nets()[0]
    with pytest.raises(UsageError, match="1 tensors that do not fit mobilenetv2_100"):
        fill(net, {"w": torch.zeros(3)}, "other.pth", "mobilenetv2_100")


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("sprung"),))


def test_weights_that_are_code_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("trap.pth").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UsageError, match=r"trap.pth: not a file of weights alone"):
        read_tensors(Path("trap.pth"))
    assert not Path("sprung").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("data", [b"", b"torn" * 20])
def test_torn_weights_are_refused(tmp_path, suffix, data):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not a file of weights alone"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"state_dict": {"a": torch.zeros(1)}}, "something else than tensors"),
        ([1], "something else than tensors"),
        ({"a": torch.tensor([float("nan")])}, "a is not finite"),
    ],
)
def test_weights_that_are_no_finite_tensors_are_refused(tmp_path, stored, said):
    torch.save(stored, tmp_path / "weights.pth")
    with pytest.raises(UsageError, match=said):
        read_tensors(tmp_path / "weights.pth")


def test_c06_unknown_backbone_names_the_nearest():
    with pytest.raises(UsageError, match=r"\[C06\] backbone 'vgg61'.*nearest: 'vgg"):
        make_network(backbones=("vgg61",))


@pytest.mark.parametrize("names", [("vit_tiny_patch16_224",), ("small-cnn", "vgg16")])
def test_backbones_without_a_joint_map_are_refused(names):
    with pytest.raises(UsageError, match="makes no joint map of an input of 64 px"):
        make_network(backbones=names)


def test_frozen_part_stays_in_inference_while_training():
    network = make_network(backbones=("mobilenetv2_100",)).train()
    assert network.head.training
    assert not any(module.training for part in network.body.fixed() for module in part.modules())


def test_maps_of_two_backbones_are_joined():
    network = make_network(backbones=("mobilenetv2_100", "mobilenetv1_100"))
    assert network.head.channels == 1280 + 1024
