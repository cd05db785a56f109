"""Changes to an ONNX graph that keep its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engines.graph_index import GraphIndex, attribute, index_graph

if TYPE_CHECKING:
    import onnx

SMALLEST_SCALE = 2.0**-14
"""Smallest normal float16 number."""
INT8_LIMIT = 127


def cast_input_first(model: onnx.ModelProto) -> bool:
    """Let the Cast from uint8 come before a Transpose; return whether it did not.

    TensorRT transposes floats only; models exported before it was an engine transpose first.
    """
    first = {node.input[0]: node for node in model.graph.node if node.op_type == "Transpose"}
    for node in model.graph.node:
        before = first.get("frames")
        if before is not None and node.op_type == "Cast" and node.input[0] == before.output[0]:
            kept = type(node)()
            kept.CopyFrom(node)
            for target, source in ((node, before), (before, kept)):
                target.op_type = source.op_type
                moved = list(source.attribute)
                del target.attribute[:]
                target.attribute.extend(moved)
            del model.graph.value_info[:]
            return True
    return False


def free_depthwise(model: onnx.ModelProto) -> None:
    """Give depthwise convolutions their float weights and input, past any Q/DQ pairs."""
    index = index_graph(model)
    for node in model.graph.node:
        if node.op_type != "Conv" or attribute(node, "group", 1) == 1:
            continue
        weights = index.producers.get(node.input[1])
        if weights is None or weights.op_type != "DequantizeLinear":
            continue
        values = dequantize(weights, index)
        if values.shape[1] == 1:
            node.input[1] = add_constant(model, f"{node.input[1]}_float", values)
            node.input[0] = _unquantized(node.input[0], index)
    drop_unused(model)


def clamp_scales(model: onnx.ModelProto) -> None:
    """Raise scales that float16 cannot hold as normal numbers; int8 weights follow."""
    index = index_graph(model)
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        scales = index.value(node.input[1]).astype(np.float32)
        if not (scales < SMALLEST_SCALE).any():
            continue
        raised = np.maximum(scales, np.float32(SMALLEST_SCALE))
        if node.op_type == "DequantizeLinear" and node.input[0] in index.constants:
            steps = dequantize(node, index) / _along(raised, node, index)
            whole = np.clip(np.rint(steps), -INT8_LIMIT - 1, INT8_LIMIT).astype(np.int8)
            node.input[0] = add_constant(model, f"{node.output[0]}_whole", whole)
        node.input[1] = add_constant(model, f"{node.output[0]}_scale", raised)


def fold_norms(model: onnx.ModelProto) -> None:
    """Leave batch normalisations only a factor and a summand.

    A variance of 1e-6 is no normal float16 number; the factor made from it is.
    """
    index = index_graph(model)
    for node in model.graph.node:
        if node.op_type != "BatchNormalization":
            continue
        gain, offset, mean, variance = (
            index.value(name).astype(np.float64) for name in node.input[1:]
        )
        factor = gain / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        values = (factor, offset - mean * factor, np.zeros_like(mean), np.ones_like(mean))
        for place, value in enumerate(values, 1):
            name = f"{node.output[0]}_norm_{place}"
            node.input[place] = add_constant(model, name, value.astype(np.float32))
        for entry in node.attribute:
            if entry.name == "epsilon":
                entry.f = 0.0
    drop_unused(model)


def dequantize(node: onnx.NodeProto, index: GraphIndex) -> NDArray[np.float32]:
    """Return the float weights behind a DequantizeLinear node, unrounded where they are kept."""
    source = index.producers.get(node.input[0])
    if source is not None and source.op_type == "QuantizeLinear":
        return index.value(source.input[0]).astype(np.float32)
    scales = index.value(node.input[1]).astype(np.float32)
    return index.value(node.input[0]).astype(np.float32) * _along(scales, node, index)


def add_constant(model: onnx.ModelProto, name: str, values: NDArray[np.generic]) -> str:
    """Add an initializer and return its name."""
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
    return name


def drop_unused(model: onnx.ModelProto) -> None:
    """Remove nodes and constants that no output needs."""
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    constants = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    for field, values in ((model.graph.node, kept[::-1]), (model.graph.initializer, constants)):
        copies = [type(value)() for value in values]
        for copy, value in zip(copies, values, strict=True):
            copy.CopyFrom(value)
        del field[:]
        field.extend(copies)
    del model.graph.value_info[:]


def _along(
    scales: NDArray[np.float32], node: onnx.NodeProto, index: GraphIndex
) -> NDArray[np.float32]:
    """Return scales shaped to multiply the quantized tensor of a DequantizeLinear node."""
    if scales.size == 1:
        return scales.reshape(())
    shape = [1] * len(index.constants[node.input[0]].dims)
    shape[attribute(node, "axis", 1)] = scales.size
    return scales.reshape(shape)


def _unquantized(name: str, index: GraphIndex) -> str:
    """Return the float tensor before a pair of QuantizeLinear and DequantizeLinear."""
    after = index.producers.get(name)
    if after is None or after.op_type != "DequantizeLinear":
        return name
    before = index.producers.get(after.input[0])
    return before.input[0] if before is not None else name
