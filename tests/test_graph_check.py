"""Facts about what is refused before TensorRT sees it, one small graph for each construct."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.graph_check import find_refusals
from engines.typed import typed_graph
from tests.graph_answers import SHIPPED
from tests.tiny_model import build_tiny

node = helper.make_node
INT8_ZERO = np.int8(0)
ONE = np.float32(1)
WEIGHTS = np.ones((4, 3, 1, 1), np.float32)
ENDS = {
    "x": (TensorProto.FLOAT, ["N", 3, 8, 8]),
    "row": (TensorProto.FLOAT, ["N", 4]),
    "bytes": (TensorProto.UINT8, ["N", 4]),
}


def build(nodes, constants, opset=20, ends=ENDS, **changes):
    """Return the bytes of a graph from `x` (N, 3, 8, 8), `row` or `bytes` (N, 4) to `y`."""
    used = {name for each in nodes for name in each.input}
    inputs = [helper.make_tensor_value_info(k, *v) for k, v in ends.items() if k in used]
    graph = helper.make_graph(
        nodes,
        "small",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, **changes).SerializeToString()


def quantize_weights(reader, weights, scales, axis):
    """Return nodes and constants of `reader` with int8 weights, one scale per channel."""
    nodes = [node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=axis), reader]
    scales = np.asarray(scales, np.float32)
    return nodes, {"q": weights, "s": scales, "z": np.zeros(scales.shape, np.int8)}


def quantize(scale=ONE, zero=INT8_ZERO, **attributes):
    """Return nodes and constants of a pair of Q and DQ behind `x`."""
    names = ["s"] if zero is None else ["s", "z"]
    nodes = [
        node("QuantizeLinear", ["x", *names], ["q"], **attributes),
        node("DequantizeLinear", ["q", *names], ["y"]),
    ]
    return nodes, {"s": scale} | ({} if zero is None else {"z": zero})


CONV = node("Conv", ["x", "w"], ["y"])
GEMM = node("Gemm", ["row", "w"], ["y"], transB=1)
PLAIN_GEMM = node("Gemm", ["row", "w"], ["y"])
SCATTER = ["x", "at", "new"]
REFUSED = {
    "foreign domain": (([node("Gelu", ["x"], ["y"], domain="com.microsoft")], {}), "com.microsoft"),
    "integer convolution": (
        ([node("ConvInteger", ["q", "w"], ["y"])], {"q": WEIGHTS.astype(np.uint8), "w": WEIGHTS}),
        "ConvInteger 'y': TensorRT has no such operator",
    ),
    "dynamic quantization": (
        ([node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])], {}),
        "DynamicQuantizeLinear",
    ),
    "zero point 3": (quantize(zero=np.int8(3)), "zero point 'z' is not int8 0"),
    "uint8 zero point": (quantize(zero=np.uint8(0)), "zero point 'z' is not int8 0"),
    "no zero point": (quantize(zero=None), "means uint8"),
    "negative scale": (quantize(np.float32(-1)), "'s' is not positive"),
    "subnormal scale": (quantize(np.float32(1e-40)), "'s' is subnormal"),
    "scale per channel of an activation": (
        quantize(np.ones(3, np.float32), np.zeros(3, np.int8), axis=1),
        "of an activation",
    ),
    "computed scale": (
        ([node("ReduceMax", ["x"], ["s"], keepdims=0), *quantize()[0]], {"z": INT8_ZERO}),
        "scale 's' is not an initializer",
    ),
    "convolution by input channel": (
        quantize_weights(CONV, np.ones((3, 3, 1, 1), np.int8), [1, 2, 3], 1),
        "scales on axis 1 of the weights of Conv; expected 0",
    ),
    "transposed Gemm by input": (
        quantize_weights(GEMM, np.ones((2, 4), np.int8), [1, 2, 3, 4], 1),
        "scales on axis 1 of the weights of Gemm; expected 0",
    ),
    "plain Gemm by input": (
        quantize_weights(PLAIN_GEMM, np.ones((4, 2), np.int8), [1, 2, 3, 4], 0),
        "scales on axis 0 of the weights of Gemm; expected 1",
    ),
    "int32 bias": (
        (
            [node("DequantizeLinear", ["q", "s"], ["b"]), node("Add", ["row", "b"], ["y"])],
            {"q": np.ones(4, np.int32), "s": ONE},
        ),
        "'q' is int32",
    ),
    "antialiased resize": (
        (
            [node("Resize", ["x", "", "s"], ["y"], mode="linear", antialias=1)],
            {"s": np.float32([1, 1, 0.5, 0.5])},
        ),
        "antialias 1: expected 0",
    ),
    "cubic resize": (
        ([node("Resize", ["x", "", "s"], ["y"], mode="cubic")], {"s": np.float32([1, 1, 2, 2])}),
        "mode cubic: expected linear or nearest",
    ),
    "indices of a maximum": (
        ([node("MaxPool", ["x"], ["y", "at"], kernel_shape=[2, 2])], {}),
        "has the output Indices",
    ),
    "dilated pooling": (
        ([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[2, 2])], {}),
        "is dilated",
    ),
    "scatter with a sum": (
        (
            [node("ScatterND", SCATTER, ["y"], reduction="add")],
            {"at": np.zeros((1, 1), np.int64), "new": np.zeros((1, 3, 8, 8), np.float32)},
        ),
        "reduction add: expected none",
    ),
    "double": (
        ([node("Cast", ["x"], ["y"], to=TensorProto.DOUBLE)], {}),
        "'y' is double",
    ),
    "uint8 inside": (([node("Cast", ["x"], ["y"], to=TensorProto.UINT8)], {}), "'y' is uint8"),
    "uint8 cast to an integer": (
        (
            [
                node("Cast", ["bytes"], ["i"], to=TensorProto.INT32),
                node("Cast", ["i"], ["y"], to=TensorProto.FLOAT),
            ],
            {},
        ),
        "'bytes' is uint8, which becomes float or float16 only",
    ),
    "computed reshape": (
        (
            [
                node("ArgMax", ["row"], ["at"], axis=1, keepdims=0),
                node("Reshape", ["x", "at"], ["y"]),
            ],
            {},
        ),
        "'at' depends on values",
    ),
    "computed axes": (
        (
            [
                node("Cast", ["row"], ["at"], to=TensorProto.INT64),
                node("ReduceSum", ["x", "at"], ["y"]),
            ],
            {},
        ),
        "'at' is computed; expected a constant",
    ),
    "two float types": (
        (
            [
                node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
                node("Concat", ["h", "x"], ["y"], axis=1),
            ],
            {},
        ),
        "mixes float and float16",
    ),
    "largest of many": (
        ([node("TopK", ["x", "k"], ["y", "at"])], {"k": np.int64([4000])}),
        "4000 values: expected fewer than 3840",
    ),
    "training norm": (
        (
            [node("BatchNormalization", ["x", *"abcd"], ["y"], training_mode=1)],
            {name: np.ones(3, np.float32) for name in "abcd"},
        ),
        "trains or returns statistics",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_construct_is_refused_and_named(name):
    (nodes, constants), words = REFUSED[name]
    found = find_refusals(build(nodes, constants))
    assert any(words in line for line in found), found


def test_a_branch_is_refused():
    inner = helper.make_graph([], "inner", [], [])
    nodes = [node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)]
    assert "If" in find_refusals(build(nodes, {"c": np.array(True)}))[0]


@pytest.mark.parametrize("opset", [8, 25])
def test_opset_outside_the_table_is_refused(opset):
    data = build([node("Relu", ["x"], ["y"])], {}, opset)
    assert find_refusals(data) == (f"opset {opset}: expected 9 to 24",)


def test_input_of_any_size_is_refused():
    ends = {"x": (TensorProto.FLOAT, ["N", 3, "h", 8])}
    data = build([node("Relu", ["x"], ["y"])], {}, ends=ends)
    assert "only the first dimension may vary" in find_refusals(data)[0]


def test_types_that_contradict_each_other_are_refused():
    model = onnx.load_from_string(build([node("Relu", ["x"], ["y"])], {}))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    assert "contradict each other" in find_refusals(model.SerializeToString())[0]


def test_reshape_by_sizes_of_tensors_is_taken():
    nodes = [
        node("Shape", ["x"], ["batch"], start=0, end=1),
        node("Concat", ["batch", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["y"]),
    ]
    assert find_refusals(build(nodes, {"rest": np.int64([-1])})) == ()


@pytest.mark.parametrize(
    ("reader", "shape", "axis"),
    [(CONV, (2, 3, 1, 1), 0), (GEMM, (2, 4), 0), (PLAIN_GEMM, (4, 2), 1)],
)
def test_weights_by_output_channel_are_taken(reader, shape, axis):
    graph = quantize_weights(reader, np.ones(shape, np.int8), [1, 2], axis)
    assert find_refusals(build(*graph)) == ()


def test_symmetric_int8_is_taken():
    assert find_refusals(build(*quantize())) == ()


def test_a_transpose_of_uint8_is_named_and_moved_behind_the_cast():
    data = SHIPPED.read_bytes()
    assert find_refusals(data) == () or "Transpose 'node_permute'" in find_refusals(data)[0]
    assert find_refusals(typed_graph(data, "fp32")) == ()


def test_hand_worked_model_is_taken():
    assert find_refusals(build_tiny().SerializeToString()) == ()


def test_operators_are_of_onnx():
    from engines.graph_check import OPERATORS

    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    assert known >= OPERATORS
