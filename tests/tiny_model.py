"""A hand-worked model of three features (mean R, G, B), small enough to check on paper.

Features are the mean colour in [0, 1]; logits = features @ WEIGHT.T + BIAS; the map of a class is
its weighted colour in each of 4 x 4 cells, over 16, so that it sums to the logit less the bias.
"""

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.spec import METADATA_KEY, Gate, ModelSpec, encode_spec

WEIGHT = np.array([[-4.0, 0.0, 4.0], [4.0, 0.0, -4.0]], np.float32)
BIAS = np.array([0.5, -0.5], np.float32)
SIZE = 32

SPEC = ModelSpec(
    name="tiny",
    classes=("blue", "red"),
    positive_class="red",
    input_wh=(SIZE, SIZE),
    fit="stretch",
    temperature=2.0,
    threshold=0.5,
    threshold_rule="worked by hand",
    cam_kind="cam",
    cam_scale=(0.25, 0.25),
    gate=None,
    data_digest="0" * 64,
    metrics={},
    metrics_split="none",
    licence="Apache-2.0",
    intended_use="tests",
)
GATE = Gate((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 1.5, "worked by hand")


def build_tiny(**changes):
    """Return the ONNX model as a proto, its spec changed by keyword; cells quantised for int8."""
    spec = msgspec.structs.replace(SPEC, **changes)
    constants = {
        "scale": np.float32(1 / 255),
        "kernel": WEIGHT.reshape(2, 3, 1, 1) / 16,
        "weight": WEIGHT.T.copy(),
        "bias": BIAS,
        "temperature": np.float32(spec.temperature),
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["cells", "kernel"], ["cam"]),
        helper.make_node("ReduceMean", ["cells", "axes"], ["features"], keepdims=0),
        helper.make_node("MatMul", ["features", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["cooled"]),
        helper.make_node("Softmax", ["cooled"], ["probs"], axis=1),
    ]
    if spec.precision == "int8":
        constants |= {"step": np.float32(1 / 127), "zero": np.int8(0)}
        nodes[3].output[0] = "exact"
        nodes[4:4] = [
            helper.make_node("QuantizeLinear", ["exact", "step", "zero"], ["steps"]),
            helper.make_node("DequantizeLinear", ["steps", "step", "zero"], ["cells"]),
        ]
    outputs = {"logits": ["N", 2], "probs": ["N", 2], "cam": ["N", 2, 4, 4], "features": ["N", 3]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: encode_spec(spec)})
    return model


def save_tiny(folder, model=None, **changes):
    """Write the model into a folder and return its path."""
    path = folder / "tiny.onnx"
    onnx.save(model if model is not None else build_tiny(**changes), path)
    return path
