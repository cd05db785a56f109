"""Facts about the strongly typed graphs that TensorRT and CUDA engines are built from."""

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from engines.errors import EngineError
from engines.graph_check import find_refusals
from engines.graph_index import index_graph, parse_graph
from engines.graph_rewrite import clamp_scales, dequantize
from engines.spec import METADATA_KEY, decode_spec
from engines.typed import typed_graph
from tests.exported import PX, SHIPPED, draw_frames, export_once
from tests.tiny_model import build_tiny

LOGIT_LIMIT, CAM_LIMIT = 5e-3, 0.999
NAMES = ("shipped", "moments", "puj", "auto-pcos", "mobilenetv3_large_100")


def read_model(name):
    return SHIPPED.read_bytes() if name == "shipped" else export_once(name)[1].data


def run_onnx(data, frames):
    """Run without optimisations: in 1.31 one of them spoils biases beside float16 scales."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frames": frames}), strict=True))


def check_types(data):
    """Run the full check of ONNX and strict inference; the outputs must be float32."""
    model = parse_graph(data)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert {o.type.tensor_type.elem_type for o in model.graph.output} == {TensorProto.FLOAT}
    assert find_refusals(data) == ()


def check_close(data, reference, side, logit_limit=LOGIT_LIMIT, cam_limit=CAM_LIMIT):
    frames = draw_frames(2, side)
    found, wanted = run_onnx(data, frames), run_onnx(reference, frames)
    gap = np.abs(found["logits"] - wanted["logits"]).max() / np.abs(wanted["logits"]).max()
    assert gap < logit_limit
    assert np.corrcoef(found["cam"].ravel(), wanted["cam"].ravel())[0, 1] > cam_limit


class Frames(CalibrationDataReader):
    def __init__(self, frames):
        self.left = iter(frames)

    def get_next(self):
        frame = next(self.left, None)
        return None if frame is None else {"frames": frame[None]}


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A MobileNetV2 with Q/DQ at its convolutions, but for the class map."""
    folder = tmp_path_factory.mktemp("quantized")
    data = export_once("mobilenetv2_100")[1].data
    (folder / "net.onnx").write_bytes(data)
    ends = {"logits", "cam"}
    quantize_static(
        folder / "net.onnx",
        folder / "int8.onnx",
        Frames(draw_frames(4)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=[n.name for n in parse_graph(data).graph.node if ends & set(n.output)],
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    return (folder / "int8.onnx").read_bytes()


def test_fp32_is_left_as_it_is():
    data = read_model("moments")
    assert typed_graph(data, "fp32") is data


@pytest.mark.parametrize("name", NAMES)
def test_fp16_keeps_the_answers(name):
    data = read_model(name)
    half = typed_graph(data, "fp16")
    check_types(half)
    check_close(half, data, 224 if name == "shipped" else PX)
    assert len(half) < 0.7 * len(data)


def test_bf16_has_consistent_types():
    check_types(typed_graph(read_model("moments"), "bf16"))


def test_convolutions_compute_in_half_and_squares_in_single():
    data = typed_graph(read_model("moments"), "fp16")
    model = parse_graph(data)
    index = index_graph(model)
    kinds = {n.op_type: index.types[n.output[0]] for n in model.graph.node if "cam" not in n.output}
    assert kinds["Conv"] == kinds["MaxPool"] == TensorProto.FLOAT16
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
    assert (
        sum(len(t.dims) == 4 for t in stored) == 52 - 17
    )  # MobileNetV2 has 52, 17 of them depthwise


def test_int8_keeps_the_answers_of_the_int8_model(quantized):
    data = export_once("mobilenetv2_100")[1].data
    check_close(typed_graph(quantized, "int8"), data, PX, 0.1, 0.98)


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
def test_metadata_names_the_precision_and_the_float32_model(precision, quantized):
    data = quantized if precision == "int8" else read_model("moments")
    model = parse_graph(typed_graph(data, precision))
    spec = decode_spec({e.key: e.value for e in model.metadata_props}[METADATA_KEY])
    assert spec.precision == precision
    assert spec.reference_digest == hashlib.sha256(data).hexdigest()


def test_int8_of_a_float_model_is_refused():
    with pytest.raises(EngineError, match="make one with `stream calibrate`"):
        typed_graph(read_model("moments"), "int8")


def test_fp16_of_an_int8_model_is_refused(quantized):
    with pytest.raises(EngineError, match="compile it as int8"):
        typed_graph(quantized, "fp16")
