"""Names what TensorRT would refuse in an ONNX graph, before anything is sent to it.

References
----------
Operator table of the ONNX parser of TensorRT 10.15 and its list of changes since 10.12;
TensorRT documentation, "Working with Quantized Types", explicit quantization.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from engines.graph_index import GraphIndex, attribute, index_graph, parse_graph

if TYPE_CHECKING:
    import onnx

OPSETS = range(9, 25)
_TABLE = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization
    BlackmanWindow Cast CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose
    Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp
    Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow
    HannWindow HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul Max
    MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot
    Or PRelu Pad Pow QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform
    RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
    RoiAlign Round STFT Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh
    Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh
    ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
OPERATORS = frozenset(_TABLE.split())
"""In the table of 10.15 and not added after 10.12; control flow, which we refuse, is left out."""

POOLS = frozenset({"AveragePool", "MaxPool", "LpPool"})
RESIZE_CHOICES: dict[str, set[object]] = {
    "mode": {"nearest", "linear"},
    "coordinate_transformation_mode": {
        "half_pixel",
        "pytorch_half_pixel",
        "tf_half_pixel_for_nn",
        "asymmetric",
        "align_corners",
    },
    "keep_aspect_ratio_policy": {"stretch"},
    "antialias": {0},
}
CONSTANT_INPUTS = {"CumSum": 1, "OneHot": 1, "Squeeze": 1, "Unsqueeze": 1}
SHAPE_INPUTS = {"Reshape": (1,), "Expand": (1,), "Tile": (1,), "ConstantOfShape": (0,)} | {
    "Resize": (2, 3)
}
SHAPE_ARITHMETIC = frozenset(
    {"Add", "Cast", "Concat", "Div", "Gather", "Identity", "Mul", "Slice", "Squeeze", "Sub"}
    | {"Unsqueeze"}
)
TOP_K_LIMIT = 3840

Findings = Iterator[str]


def find_refusals(data: bytes) -> tuple[str, ...]:
    """Return one line for each construct that TensorRT 10.12 to 11 would refuse.

    Parameters
    ----------
    data : a model that `engines.load` would take, or one made from it

    Returns
    -------
    Empty when TensorRT should take the graph.
    """
    from onnx.shape_inference import InferenceError

    model = parse_graph(data)
    found = list(_check_versions(model))
    if found:
        return tuple(found)
    try:
        index = index_graph(model, strict=True)
    except InferenceError as error:
        found.append(f"types or shapes contradict each other: {str(error).splitlines()[0]}")
        index = index_graph(model)
    found += _check_shapes(model)
    for node in model.graph.node:
        lines = _check_node(node, index)
        found += [f"{node.op_type} {node.name or node.output[0]!r}: {line}" for line in lines]
    return tuple(found)


def _check_versions(model: onnx.ModelProto) -> Findings:
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            if opset.version not in OPSETS:
                yield f"opset {opset.version}: expected {OPSETS.start} to {OPSETS.stop - 1}"
        elif any(node.domain == opset.domain for node in model.graph.node):
            yield f"domain {opset.domain!r}: expected operators of ONNX itself"
    if model.functions:
        yield f"local function {model.functions[0].name!r}: expected none"


def _check_shapes(model: onnx.ModelProto) -> Findings:
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if not dims or not all(dim.HasField("dim_value") for dim in dims[1:]):
            sizes = [dim.dim_value or dim.dim_param for dim in dims]
            yield f"input {value.name!r} of shape {sizes}: only the first dimension may vary"


def _check_node(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
        yield "TensorRT has no such operator"
        return
    yield from _check_types(node, index)
    yield from _check_constants(node, index)
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        yield from _check_quantization(node, index)
    check = _CHECKS.get(node.op_type)
    if check is not None:
        yield from check(node, index)


def _check_types(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    from onnx import TensorProto as Type

    taken = {Type.FLOAT, Type.FLOAT16, Type.BFLOAT16, Type.INT32, Type.INT64, Type.BOOL}
    for name in (*node.input, *node.output):
        kind = index.types.get(name)
        if kind is None or kind in taken or (kind == Type.INT8 and _is_quantized(node, name)):
            continue
        if kind == Type.UINT8 and node.op_type == "Cast" and name not in index.producers:
            if attribute(node, "to", 0) not in (Type.FLOAT, Type.FLOAT16):
                yield f"{name!r} is uint8, which becomes float or float16 only"
            continue
        yield f"{name!r} is {Type.DataType.Name(kind).lower()}"
    floats = {Type.FLOAT, Type.FLOAT16, Type.BFLOAT16}
    read = [n for place, n in enumerate(node.input) if node.op_type != "Resize" or place == 0]
    kinds = {index.types.get(name) for name in read} & floats
    if len(kinds) > 1:
        mixed = sorted(Type.DataType.Name(kind).lower() for kind in kinds if kind)
        yield f"mixes {' and '.join(mixed)}, which a strongly typed network refuses"


def _is_quantized(node: onnx.NodeProto, name: str) -> bool:
    return (node.op_type == "QuantizeLinear" and name not in node.input[:2]) or (
        node.op_type == "DequantizeLinear" and name in node.input
    )


def _check_constants(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    place = 1 if node.op_type.startswith("Reduce") else CONSTANT_INPUTS.get(node.op_type, 99)
    names = list(node.input[place : place + 1])
    if names and names[0] and names[0] not in index.constants:
        yield f"{names[0]!r} is computed; expected a constant"
    for place in SHAPE_INPUTS.get(node.op_type, ()):
        name = node.input[place] if place < len(node.input) else ""
        if name and not _is_shape(name, index):
            yield f"{name!r} depends on values; expected a constant, or sizes of tensors"


def _is_shape(name: str, index: GraphIndex) -> bool:
    """Whether a tensor is made from constants and sizes alone."""
    if name in index.constants:
        return True
    node = index.producers.get(name)
    if node is None or node.op_type in ("Shape", "Size"):
        return node is not None
    return node.op_type in SHAPE_ARITHMETIC and all(
        _is_shape(source, index) for source in node.input if source
    )


def _check_quantization(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    """Yield what is wrong with a QuantizeLinear or DequantizeLinear node.

    TensorRT takes symmetric int8 with scales and zero points known when building.
    """
    from onnx import TensorProto as Type

    scale, zero = node.input[1], node.input[2] if len(node.input) > 2 else ""
    if zero:
        if zero not in index.constants:
            yield f"zero point {zero!r} is not an initializer"
        elif index.types[zero] != Type.INT8 or index.value(zero).any():
            yield f"zero point {zero!r} is not int8 0"
    elif node.op_type == "QuantizeLinear" and attribute(node, "output_dtype", 0) != Type.INT8:
        yield "has no zero point, which means uint8; expected int8 0"
    source = index.types.get(node.input[0])
    if node.op_type == "DequantizeLinear" and source not in (None, Type.INT8):
        yield f"{node.input[0]!r} is {Type.DataType.Name(source).lower()}; expected int8"
    if attribute(node, "block_size", 0):
        yield "is quantized in blocks; expected one scale per tensor or channel"
    if scale not in index.constants:
        yield f"scale {scale!r} is not an initializer"
        return
    values = index.value(scale).astype(np.float64)
    smallest = 2.0**-14 if index.types[scale] == Type.FLOAT16 else 2.0**-126
    if not np.isfinite(values).all() or (values <= 0).any():
        yield f"scale {scale!r} is not positive"
    elif (values < smallest).any():
        yield f"scale {scale!r} is subnormal, which becomes 0"
    if values.size > 1:
        yield from _check_channels(node, index)


def _check_channels(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    """Yield what is wrong with one scale per channel: only for weights, by output channel."""
    source = node.input[0]
    made_by = index.producers.get(source)
    weights = source if made_by is None or source in index.constants else made_by.input[0]
    if weights not in index.constants:
        yield "has one scale per channel of an activation; expected one scale"
        return
    axis = attribute(node, "axis", 1) % max(len(index.constants[weights].dims), 1)
    outputs = [node.output[0]] if node.op_type == "DequantizeLinear" else []
    for reader, place in [pair for name in outputs for pair in index.readers.get(name, [])]:
        right = output_axis(reader, len(index.constants[weights].dims))
        if place != 1 or right is None:
            yield f"has one scale per channel but feeds {reader.op_type}, not its weights"
        elif axis != right:
            yield f"has scales on axis {axis} of the weights of {reader.op_type}; expected {right}"


def output_axis(node: onnx.NodeProto, rank: int) -> int | None:
    """Return the axis of a node's weights that counts its outputs, None where it has none.

    Integer sums run over the other axes, so a scale may differ between outputs alone: axis 0 of
    Conv (O, I, h, w) and of Gemm with transB (O, I), axis 1 of ConvTranspose (I, O, h, w), the
    last of MatMul and plain Gemm (I, O).
    """
    if node.op_type == "Conv" or (node.op_type == "Gemm" and attribute(node, "transB", 0)):
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    return rank - 1 if node.op_type in ("Gemm", "MatMul") else None


def _check_pool(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    if len(node.output) > 1 and node.output[1]:
        yield "has the output Indices"
    if any(step != 1 for step in attribute(node, "dilations", [1])):
        yield "is dilated"
    if len(attribute(node, "kernel_shape", [1, 1])) not in (2, 3):
        yield "does not pool 2 or 3 dimensions"


def _check_resize(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    for name, taken in RESIZE_CHOICES.items():
        found: object = attribute(node, name, None)
        if found is not None and found not in taken:
            yield f"{name} {found}: expected {' or '.join(map(str, sorted(taken, key=str)))}"


def _check_scatter(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    if attribute(node, "reduction", "none") != "none":
        yield f"reduction {attribute(node, 'reduction', '')}: expected none"


def _check_norm(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    if attribute(node, "training_mode", 0) or len([name for name in node.output if name]) > 1:
        yield "trains or returns statistics; expected one output"


def _check_top_k(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    count = node.input[1]
    if not attribute(node, "sorted", 1):
        yield "sorted 0: expected 1"
    if count in index.constants and int(index.value(count).max()) >= TOP_K_LIMIT:
        yield f"{int(index.value(count).max())} values: expected fewer than {TOP_K_LIMIT}"


def _check_constant(node: onnx.NodeProto, index: GraphIndex) -> Findings:
    if node.attribute[0].name in ("sparse_value", "value_string", "value_strings"):
        yield f"{node.attribute[0].name}: expected numbers"


_CHECKS: dict[str, Callable[[onnx.NodeProto, GraphIndex], Findings]] = {
    **dict.fromkeys(POOLS, _check_pool),
    "Resize": _check_resize,
    "ScatterND": _check_scatter,
    "BatchNormalization": _check_norm,
    "LayerNormalization": _check_norm,
    "TopK": _check_top_k,
    "Constant": _check_constant,
}
