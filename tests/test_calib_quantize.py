"""Facts about the INT8 graph: what is quantised, how, and that the runtimes take it."""

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from calib.activations import collect_histograms
from calib.bias import correct_biases, measure_means
from calib.center import center_clips
from calib.quantize import (
    CALIBRATION_KEY,
    LEVELS,
    Calibration,
    find_layers,
    insert_pairs,
    quantize,
    quantize_weight,
)
from calib.sensitivity import rank_layers, spread_snr_db
from engines.base import run_frames
from engines.graph_check import find_refusals
from engines.graph_index import index_graph, parse_graph
from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from tests.conv_model import LAYERS, noise_frames, save_conv
from tests.tiny_model import save_tiny

FRAMES = noise_frames(12)


@pytest.fixture
def centred(tmp_path):
    return center_clips(load_model(save_conv(tmp_path)))


def scales_of(model, frames=FRAMES):
    sources = [layer.source for layer in find_layers(parse_graph(model.data).graph)]
    found = collect_histograms(model, sources, frames, lambda count: None)
    return {name: histogram.largest / LEVELS for name, histogram in found.items()}


def int8(model, float_layers=()):
    return quantize(model, scales_of(model), Calibration("max", "0" * 64, float_layers))


def answer(model, frames=FRAMES, engine="auto"):
    opened = open_engine(model, engine)
    try:
        return run_frames(opened, frames)
    finally:
        opened.close()


def test_layers_are_the_trunk_without_map_and_squeeze(centred):
    assert tuple(layer.name for layer in find_layers(parse_graph(centred.data).graph)) == LAYERS


def test_a_model_without_convolutions_on_the_way_to_the_logits_has_no_layer(tmp_path):
    model = load_model(save_tiny(tmp_path))
    assert find_layers(parse_graph(model.data).graph) == ()


def test_weights_round_to_127_steps_of_their_own_channel():
    weight = np.array([[[[2.54]], [[-1.0]]], [[[0.0]], [[0.0]]]], np.float32)
    steps, scale = quantize_weight(weight)
    assert steps.ravel().tolist() == [127, -50, 0, 0]
    assert scale[0] == pytest.approx(0.02)
    assert scale[1] > 0


def test_every_pair_is_symmetric_int8_and_weights_are_per_channel(centred):
    proto = parse_graph(int8(centred).data)
    index = index_graph(proto)
    pairs = [n for n in proto.graph.node if n.op_type.endswith("eLinear")]
    assert len(pairs) == 3 * 3  # per layer: Q and DQ of the input, DQ of the weight
    for node in pairs:
        assert index.types[node.input[2]] == TensorProto.INT8
        assert not index.value(node.input[2]).any()
    weight = index.producers[index.producers["first"].input[1]]
    assert index.value(weight.input[0]).dtype == np.int8
    assert index.value(weight.input[1]).shape == (8,)
    assert [entry.i for entry in weight.attribute if entry.name == "axis"] == [0]


def test_map_keeps_float_input_and_float_copy_of_a_shared_weight(centred):
    index = index_graph(parse_graph(int8(centred).data))
    assert list(index.producers["cam"].input) == ["map", "w_head"]
    assert index.types["w_head"] == TensorProto.FLOAT
    assert index.producers["third"].input[1] != "w_head"


def test_pooled_branch_and_classifier_stay_float(centred):
    index = index_graph(parse_graph(int8(centred).data))
    assert list(index.producers["excited"].input)[:2] == ["squeezed", "w_squeeze"]
    assert index.producers["logits"].input[0] == "pooled"


def test_a_layer_left_in_float_has_no_pair(centred):
    index = index_graph(parse_graph(int8(centred, ("second",)).data))
    assert list(index.producers["second"].input)[:2] == ["relu6", "w2"]


def test_residual_takes_the_rounded_tensor_where_a_layer_reads_it(centred):
    model = parse_graph(centred.data)
    next(n for n in model.graph.node if n.output[0] == "map").input[1] = "relu6"
    insert_pairs(model.graph, find_layers(model.graph), scales_of(centred))
    index = index_graph(model)
    assert list(index.producers["map"].input) == ["weighed", "relu6_rounded"]


def test_the_model_says_what_it_is_and_where_it_is_from(tmp_path):
    given = load_model(save_conv(tmp_path))
    path = tmp_path / "int8.onnx"
    path.write_bytes(int8(center_clips(given)).data)
    loaded = load_model(path)
    assert loaded.spec.precision == "int8"
    assert loaded.spec.reference_digest == given.digest
    notes = {entry.key: entry.value for entry in parse_graph(loaded.data).metadata_props}
    assert msgspec.json.decode(notes[CALIBRATION_KEY], type=Calibration).calibrator == "max"


def test_moving_clips_around_zero_changes_no_answer(tmp_path, centred):
    given = load_model(save_conv(tmp_path))
    index = index_graph(parse_graph(centred.data))
    limits = [float(index.value(name)) for name in index.producers["relu6"].input[1:]]
    assert limits == [-3.0, 3.0]
    for engine in ("onnxruntime", "openvino"):
        one, other = answer(given, engine=engine), answer(centred, engine=engine)
        assert np.abs(one.logits - other.logits).max() < 1e-4
        assert np.abs(one.cam - other.cam).max() < 1e-4


def test_runtimes_agree_on_the_int8_model(centred):
    model = int8(centred)
    one, other = answer(model, engine="auto"), answer(centred)
    assert spread_snr_db(other.logits, one.logits) > 20


def test_biases_take_up_the_mean_error(centred):
    wanted = measure_means(centred, FRAMES)
    rough = int8(centred)
    fixed = correct_biases(rough, wanted, FRAMES)
    reference = answer(centred).logits
    before, after = (np.abs((answer(m).logits - reference).mean(0)).max() for m in (rough, fixed))
    assert after < before / 3


def test_means_of_a_channel_are_those_of_its_values(centred):
    means = measure_means(centred, FRAMES)
    assert set(means) == {*LAYERS, "excited", "logits"}
    assert means["logits"] == pytest.approx(answer(centred).logits.mean(0), abs=1e-4)


def test_a_layer_with_a_coarse_step_is_the_most_sensitive(centred):
    scales = scales_of(centred)
    coarse = scales | {"relu6": scales["relu6"] * 20}
    assert next(iter(rank_layers(centred, coarse, FRAMES, lambda count: None))) == "second"


def test_shipped_model_is_quantised_without_a_construct_that_tensorrt_refuses():
    model = center_clips(load_model(DEMO_MODEL))
    frames = np.zeros((1, *model.spec.input_wh[::-1], 3), np.uint8)
    proto = parse_graph(model.data)
    layers = find_layers(proto.graph)
    assert len(layers) == 56
    scales = {name: max(s, 1e-6) for name, s in scales_of(model, frames).items()}
    made = quantize(model, scales, Calibration("max", ""))
    assert not find_refusals(made.data)
    whole = [t for t in parse_graph(made.data).graph.initializer if t.name.endswith("weight_int8")]
    assert len(whole) == 56
    assert all(numpy_helper.to_array(tensor).dtype == np.int8 for tensor in whole)
