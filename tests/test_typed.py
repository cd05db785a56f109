"""Facts about the strongly typed graphs that TensorRT and CUDA engines are built from."""

import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from engines.errors import EngineError
from engines.graph_index import index_graph, parse_graph
from engines.graph_rewrite import clamp_scales, dequantize
from engines.spec import METADATA_KEY, decode_spec
from engines.typed import typed_graph
from tests.graph_answers import SHIPPED, check_close, check_types, draw_frames, run_onnx
from tests.tiny_model import build_tiny

CONVOLUTIONS, DEPTHWISE = 57, 18  # of the shipped model; the last one makes the class map


@pytest.fixture(scope="module")
def shipped():
    return SHIPPED.read_bytes()


@pytest.fixture(scope="module")
def frames():
    return draw_frames(2, 224)


class Frames(CalibrationDataReader):
    def __init__(self, frames):
        self.left = iter(frames)

    def get_next(self):
        frame = next(self.left, None)
        return None if frame is None else {"frames": frame[None]}


@pytest.fixture(scope="module")
def quantized(tmp_path_factory, shipped, frames):
    """The shipped model with Q/DQ at its convolutions, but for the class map."""
    folder = tmp_path_factory.mktemp("quantized")
    ends = {"logits", "cam"}
    quantize_static(
        SHIPPED,
        folder / "int8.onnx",
        Frames(frames),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=[n.name for n in parse_graph(shipped).graph.node if ends & set(n.output)],
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    return (folder / "int8.onnx").read_bytes()


def test_fp32_is_left_as_it_is(shipped):
    assert typed_graph(shipped, "fp32") is shipped


def test_fp16_keeps_the_answers(shipped, frames):
    half = typed_graph(shipped, "fp16")
    check_types(half)
    check_close(half, shipped, frames)
    assert len(half) < 0.7 * len(shipped)


def test_bf16_has_consistent_types(shipped):
    check_types(typed_graph(shipped, "bf16"))


def test_convolutions_compute_in_half_and_squares_in_single(shipped):
    model = parse_graph(typed_graph(shipped, "fp16"))
    index = index_graph(model)
    kinds = {n.op_type: index.types[n.output[0]] for n in model.graph.node if "cam" not in n.output}
    assert kinds["Conv"] == kinds["Resize"] == TensorProto.FLOAT16
    assert {kinds[op] for op in ("Pow", "Softmax", "Gemm", "Div")} == {TensorProto.FLOAT}


def test_a_square_beyond_half_does_not_overflow():
    model = build_tiny()
    for tensor in model.graph.initializer:
        if tensor.name == "scale":  # pixels up to 76,500 after scaling
            tensor.CopyFrom(numpy_helper.from_array(np.float32(300), "scale"))
    frames = np.full((1, 32, 32, 3), 255, np.uint8)
    half = typed_graph(model.SerializeToString(), "fp16")
    assert np.isfinite(run_onnx(half, frames)["features"]).all()


def test_weight_beyond_half_is_refused_by_name():
    model = build_tiny()
    model.graph.node[4].output[0] = "inner"
    model.graph.node.insert(5, onnx.helper.make_node("Conv", ["inner", "wide"], ["cam"]))
    wide = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)
    model.graph.initializer.append(numpy_helper.from_array(wide, "wide"))
    next(t for t in model.graph.initializer if t.name == "kernel").CopyFrom(
        numpy_helper.from_array(np.full((2, 3, 1, 1), 1e5, np.float32), "kernel")
    )
    with pytest.raises(EngineError, match=r"'kernel' reaches 1e\+05, beyond fp16; compile it as"):
        typed_graph(model.SerializeToString(), "fp16")


def test_int8_becomes_int8_and_fp16_with_depthwise_convolutions_in_fp16(quantized):
    typed = typed_graph(quantized, "int8")
    check_types(typed)
    model = parse_graph(typed)
    index = index_graph(model)
    for node in model.graph.node:
        if node.op_type == "Conv" and "cam" not in node.output:
            assert index.types[node.output[0]] == TensorProto.FLOAT16
            depthwise = index.shapes[node.input[1]][1] == 1
            assert (node.input[1] in index.constants) == depthwise
    stored = [t for t in model.graph.initializer if t.data_type == TensorProto.INT8 and t.dims]
    assert sum(len(t.dims) == 4 for t in stored) == CONVOLUTIONS - DEPTHWISE - 1


def test_int8_keeps_the_answers_of_the_int8_model(quantized, frames):
    check_close(typed_graph(quantized, "int8"), quantized, frames, 0.1, 0.98)


def test_scales_that_half_cannot_hold_are_raised_and_their_weights_follow():
    weights = np.array([[127, -127], [64, 1]], np.int8)
    scales = np.array([2.0**-16, 1.0], np.float32)
    nodes = [
        onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0),
        onnx.helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    ends = [onnx.helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 2]) for n in "xy"]
    constants = {"q": weights, "s": scales, "z": np.zeros(2, np.int8)}
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors))
    clamp_scales(model)
    index = index_graph(model)
    found = model.graph.node[0]
    assert index.value(found.input[1]).tolist() == [2.0**-14, 1.0]
    # 127 steps of 2**-16 are 31.75 of 2**-14, so 32
    assert dequantize(found, index).tolist() == [[32 * 2.0**-14, -32 * 2.0**-14], [64.0, 1.0]]


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_metadata_names_the_precision_and_the_float32_model(precision, quantized, shipped):
    data = quantized if precision == "int8" else shipped
    model = parse_graph(typed_graph(data, precision))
    spec = decode_spec({e.key: e.value for e in model.metadata_props}[METADATA_KEY])
    assert spec.precision == precision
    assert spec.reference_digest == hashlib.sha256(data).hexdigest()


def test_int8_of_a_float_model_is_refused(shipped):
    with pytest.raises(EngineError, match="make one with `stream calibrate`"):
        typed_graph(shipped, "int8")


def test_fp16_of_an_int8_model_is_refused(quantized):
    with pytest.raises(EngineError, match="compile it as int8"):
        typed_graph(quantized, "fp16")
