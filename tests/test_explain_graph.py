"""Facts about gradients written as ONNX: they are those of torch."""

import msgspec
import numpy as np
import pytest
import torch
from onnx import helper, numpy_helper

from engines import ort, ov
from engines.errors import EngineError
from engines.explain import GREY, Explainer, explain_graph, saliency_of
from engines.load import Model, load_model
from tests.gradient_cases import OPERATORS, explain, gradient_of, pool, relative
from tests.graph_answers import SHIPPED, draw_frames
from tests.tiny_model import BIAS, SIZE, SPEC, WEIGHT, build_tiny

node = helper.make_node
OPEN = {"onnxruntime": ort.open_graph, "openvino": ov.open_graph}


def make_model(nodes, constants, channels):
    """Return the tiny model with other nodes from `planes` to `cells`, squared before the mean."""
    proto = build_tiny()
    kept = [n for n in proto.graph.node if n.output[0] not in ("cells", "cam", "features")]
    square = [
        node("Pow", ["cells", "two"], ["squares"]),
        node("ReduceMean", ["squares", "axes"], ["features"], keepdims=0),
    ]
    weight = np.tile(WEIGHT.T, (2, 1))[:channels]
    for name, value in {**constants, "two": np.float32(2), "weight": weight}.items():
        for old in [t for t in proto.graph.initializer if t.name == name]:
            proto.graph.initializer.remove(old)
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    place = [n.output[0] for n in kept].index("planes") + 1
    del proto.graph.node[:]
    proto.graph.node.extend([*kept[:place], *nodes, *square, *kept[place:]])
    return Model("tiny.onnx", proto.SerializeToString(), "", SPEC), weight


@pytest.mark.parametrize("name", OPERATORS)
def test_gradient_of_operator_is_torchs(name):
    (nodes, constants), function = OPERATORS[name]
    channels = function(torch.rand(1, 3, SIZE, SIZE)).shape[1]
    model, weight = make_model(nodes, constants, channels)

    def network(planes):
        return function(planes / 255).square().mean((2, 3)) @ torch.from_numpy(weight) + BIAS[0]

    frames = np.random.default_rng(3).integers(1, 256, (2, SIZE, SIZE, 3)).astype(np.uint8)
    found = explain(model, frames, [[0, 1]] * 2)
    assert relative(found["gradient"], gradient_of(network, frames)) < 1e-5


def test_of_equal_cells_the_first_gets_the_gradient_of_their_maximum():
    model, _ = make_model(*pool("MaxPool", 2, 2), 3)
    gradient = explain(model, np.full((1, SIZE, SIZE, 3), 9, np.uint8), [[1, 0]])["gradient"]
    assert np.flatnonzero(gradient[0, :, :, 2].any(axis=1))[:2].tolist() == [0, 2]
    assert (gradient[0, 1::2] == 0).all() and (gradient[0, :, 1::2] == 0).all()


def test_of_the_hand_worked_model_each_pixel_has_its_weight():
    model = Model("tiny.onnx", build_tiny().SerializeToString(), "", SPEC)
    found = explain(model, np.full((1, SIZE, SIZE, 3), 255, np.uint8), [[0, 1]])
    share = WEIGHT[1] / 255 / SIZE**2
    assert np.allclose(found["gradient"][0, 5, 7], share, rtol=1e-5)
    assert np.allclose(found["ig"][0, 5, 7], share * (255 - GREY), rtol=1e-5)


@pytest.mark.parametrize("engine", OPEN)
def test_shipped_model_is_explained_by_each_runtime(engine):
    model = load_model(SHIPPED)
    frames = draw_frames(1, 224)
    answer = OPEN[engine](model.data)({"frames": frames})["logits"]
    explainer = Explainer(model, OPEN[engine], steps=2)
    found = explainer.explain(frames, model.spec.positive_index)
    assert np.allclose(found.logits, answer, atol=1e-4)
    assert np.isfinite(found.ig).all() and saliency_of(found.ig[0]).max() > 0


def test_operator_without_a_rule_is_named():
    model, _ = make_model([node("Softplus", ["planes"], ["cells"])], {}, 3)
    with pytest.raises(EngineError, match="cannot be explained: Softplus 'cells' has no rule"):
        explain_graph(model)


def test_quantized_model_is_refused():
    spec = msgspec.structs.replace(SPEC, precision="int8")
    model = Model("net.int8.onnx", build_tiny().SerializeToString(), "", spec)
    with pytest.raises(EngineError, match="explain the float32 model"):
        explain_graph(model)


def test_saliency_is_the_sum_over_colours():
    assert saliency_of(np.float32([[[1, -2, 0.5]]])).tolist() == [[3.5]]
