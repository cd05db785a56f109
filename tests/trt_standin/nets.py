"""A small net with what TensorRT's precisions are about: a convolution, a depthwise one, a head."""

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from calib.quantize import Calibration, find_layers, quantize
from engines.load import load_model
from engines.spec import METADATA_KEY, encode_spec
from tests.tiny_model import SIZE, SPEC

CHANNELS = 8


def save_net(path):
    """Write the float32 net."""
    rng = np.random.default_rng(0)
    constants = {
        "scale": np.float32(1 / 255),
        "first": rng.normal(0, 0.4, (CHANNELS, 3, 3, 3)).astype(np.float32),
        "depthwise": rng.normal(0, 0.4, (CHANNELS, 1, 3, 3)).astype(np.float32),
        "point": rng.normal(0, 0.4, (CHANNELS, CHANNELS, 1, 1)).astype(np.float32),
        "kernel": rng.normal(0, 0.1, (2, CHANNELS, 1, 1)).astype(np.float32),
        "weight": rng.normal(0, 1, (CHANNELS, 2)).astype(np.float32),
        "temperature": np.float32(2),
        "axes": np.array([2, 3], np.int64),
    }
    half = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "first"], ["a"], **half),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "depthwise"], ["c"], group=CHANNELS, **half),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "point"], ["e"]),
        helper.make_node("Relu", ["e"], ["map"]),
        helper.make_node("Conv", ["map", "kernel"], ["cam"]),
        helper.make_node("ReduceMean", ["map", "axes"], ["features"], keepdims=0),
        helper.make_node("MatMul", ["features", "weight"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["cooled"]),
        helper.make_node("Softmax", ["cooled"], ["probs"], axis=1),
    ]
    shapes = {"logits": [2], "probs": [2], "cam": [2, 8, 8], "features": [CHANNELS]}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, ["N", *v]) for k, v in shapes.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    spec = msgspec.structs.replace(SPEC, name="net")
    helper.set_model_props(model, {METADATA_KEY: encode_spec(spec)})
    onnx.save(model, path)
    return path


def save_int8_net(path):
    """Write the net as `stream calibrate` would, with steps that are merely plausible."""
    model = load_model(save_net(path))
    layers = find_layers(onnx.load_from_string(model.data).graph)
    steps = {layer.source: 1 / 64 for layer in layers}
    path.write_bytes(quantize(model, steps, Calibration("by hand", "0" * 64)).data)
    return path
