"""Networks as we export them: TensorRT takes them, and half precision and gradients hold."""

import numpy as np
import onnx
import pytest
import torch
from captum.attr import IntegratedGradients

from engines import ort
from engines.explain import GREY, Explainer, explain_graph
from engines.graph_check import find_refusals
from engines.typed import typed_graph
from tests.exported import LARGE, PX, SMALL, export_once
from tests.gradient_cases import as_frames, as_planes, explain, gradient_of, relative
from tests.graph_answers import check_close, check_types, draw_frames

LIMIT = 1e-3
DEAR = [pytest.param(name, marks=pytest.mark.slow) for name in ("vgg16", "densenet121")]


@pytest.mark.parametrize("name", [*SMALL, *LARGE, "cascade", *DEAR])
def test_every_exported_model_is_taken(name):
    assert find_refusals(export_once(name)[1].data) == ()


@pytest.mark.parametrize("name", ["puj", "auto-pcos", "mobilenetv3_large_100"])
def test_fp16_keeps_the_answers(name):
    data = export_once(name)[1].data
    half = typed_graph(data, "fp16")
    check_types(half)
    check_close(half, data, draw_frames(2, PX))
    assert len(half) < 0.7 * len(data)


@pytest.mark.parametrize("name", [*LARGE, *SMALL, "cascade"])
def test_gradient_and_integrated_gradients_are_captums(name):
    network, model = export_once(name)
    frames = draw_frames(1, PX)
    found = explain(model, frames, [[0, 1]])
    planes = as_planes(frames)
    wanted = IntegratedGradients(network).attribute(
        planes, torch.full_like(planes, GREY), target=1, n_steps=16, method="riemann_middle"
    )
    assert relative(found["gradient"], gradient_of(network, frames)) < LIMIT
    assert relative(found["ig"], as_frames(wanted)) < LIMIT


@pytest.mark.slow
def test_densenet_follows_captum():
    network, model = export_once("densenet121")
    found = explain(model, draw_frames(1, PX), [[0, 1]])["gradient"]
    wanted = gradient_of(network, draw_frames(1, PX))
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "moments"])
def test_integrated_gradients_sum_to_the_change_of_the_logit(name):
    network, model = export_once(name)
    frames = draw_frames(1, PX)
    with torch.no_grad():
        baseline = network(torch.full((1, 3, PX, PX), GREY))[0, 1].item()
    found = explain(model, frames, [[0, 1]])
    change = found["logits"][0, 1] - baseline
    assert abs(found["ig"].sum() - change) < 0.05 * abs(change)


def test_two_frames_are_explained_as_each_alone():
    model = export_once("moments")[1]
    frames = draw_frames(2, PX)
    together = explain(model, frames, [[0, 1]] * 2)
    alone = Explainer(model, ort.open_graph).weigh(frames, np.float32([[0, 1]] * 2))
    assert relative(together["ig"], alone.ig) < 1e-4


def test_class_is_explained_against_the_others():
    model = export_once("moments")[1]
    explainer = Explainer(model, ort.open_graph, steps=2)
    frames = draw_frames(1, PX)
    against = explainer.weigh(frames, np.float32([[-1, 1]])).gradient
    assert np.array_equal(explainer.explain(frames, 1).gradient, against)


@pytest.mark.parametrize("name", [*LARGE, "auto-pcos", "cascade"])
def test_explain_graph_is_one_that_tensorrt_takes(name):
    data = explain_graph(export_once(name)[1])
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert find_refusals(data) == ()
