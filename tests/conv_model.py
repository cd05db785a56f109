"""A small convolutional model with all that quantisation has to tell apart.

Three convolutions (one padded), a ReLU6 that only an unpadded one reads, a residual sum, a
squeeze-and-excitation branch, and a class map that shares its weight with the trunk.
"""

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.spec import METADATA_KEY, encode_spec
from tests.tiny_model import SIZE, SPEC

LAYERS = ("first", "second", "third")


def build_conv(**changes):
    """Return the ONNX model as a proto, its spec changed by keyword."""
    spec = msgspec.structs.replace(SPEC, name="conv", **changes)
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.normal(0, 0.5, shape).astype(np.float32)  # noqa: E731
    constants = {
        "scale": np.float32(1 / 64),
        "low": np.float32(0),
        "high": np.float32(6),
        "w1": normal(8, 3, 3, 3),
        "b1": normal(8),
        "w2": normal(8, 8, 1, 1),
        "w_squeeze": normal(8, 8, 1, 1),
        "w_head": normal(2, 8, 1, 1),
        "axes": np.array([2, 3], np.int64),
        "flat": np.array([0, -1], np.int64),
        "eye": np.eye(2, dtype=np.float32),
        "temperature": np.float32(spec.temperature),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w1", "b1"], ["first"], pads=[1] * 4, strides=[4, 4]),
        helper.make_node("Clip", ["first", "low", "high"], ["relu6"]),
        helper.make_node("Conv", ["relu6", "w2"], ["second"]),
        helper.make_node("ReduceMean", ["second", "axes"], ["squeezed"], keepdims=1),
        helper.make_node("Conv", ["squeezed", "w_squeeze"], ["excited"]),
        helper.make_node("Sigmoid", ["excited"], ["share"]),
        helper.make_node("Mul", ["second", "share"], ["weighed"]),
        helper.make_node("Add", ["weighed", "second"], ["map"]),
        helper.make_node("Conv", ["map", "w_head"], ["third"]),
        helper.make_node("Conv", ["map", "w_head"], ["cam"]),
        helper.make_node("ReduceMean", ["map", "axes"], ["features"], keepdims=0),
        helper.make_node("ReduceMean", ["third", "axes"], ["pooled"], keepdims=0),
        helper.make_node("Gemm", ["pooled", "eye"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["cooled"]),
        helper.make_node("Softmax", ["cooled"], ["probs"], axis=1),
    ]
    outputs = {"logits": ["N", 2], "probs": ["N", 2], "cam": ["N", 2, 8, 8], "features": ["N", 8]}
    graph = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: encode_spec(spec)})
    return model


def save_conv(folder, **changes):
    """Write the model into a folder and return its path."""
    path = folder / "conv.onnx"
    onnx.save(build_conv(**changes), path)
    return path


def noise_frames(count, seed=0):
    """Return seeded frames of coloured noise of many brightnesses, shape (N, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    tint = rng.integers(40, 256, (count, 1, 1, 3))
    return (rng.random((count, SIZE, SIZE, 3)) * tint).astype(np.uint8)
