"""Gradients of operators that move, join or sum values."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from engines.gradient.pointwise import Rule
from engines.gradient.tape import Tape
from engines.graph_index import attribute

if TYPE_CHECKING:
    import onnx


def _reshape(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    return {0: tape.reshape(gradient, tape.shape(node.input[0]))}


def _transpose(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    back = [int(axis) for axis in np.argsort(attribute(node, "perm", [1, 0]))]
    return {0: tape("Transpose", gradient, perm=back)}


def _concat(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    shapes = [tape.shape(name) for name in node.input]
    axis = attribute(node, "axis", 0) % len(shapes[0])
    sizes = [shape[axis] for shape in shapes]
    if None in sizes:
        raise tape.refuse(node, "joins along the batch")
    split = tape.numbers(*(size for size in sizes if size is not None))
    parts = tape.write("Split", gradient, split, outputs=len(sizes), axis=axis)
    return {place: part for place, part in enumerate(parts) if node.input[place] in tape.live}


def _reduce(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    """Give each value the gradient of its sum, or the share of it for a mean."""
    shape = tape.shape(node.input[0])
    given = tape.value(node, 1).tolist() if len(node.input) > 1 else attribute(node, "axes", [])
    axes = {axis % len(shape) for axis in given or range(len(shape))}
    sizes = [shape[axis] for axis in axes]
    if None in sizes:
        raise tape.refuse(node, "sums over the batch")
    if node.op_type == "ReduceMean":
        count = prod(size for size in sizes if size is not None)
        gradient = tape("Mul", gradient, tape.constant(1 / count))
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    if not attribute(node, "keepdims", 1):
        gradient = tape.reshape(gradient, kept)
    return {0: tape.spread(gradient, shape)}


def _global_mean(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    shape = tape.shape(node.input[0])
    count = prod(size for size in shape[2:] if size is not None)
    return {0: tape.spread(tape("Mul", gradient, tape.constant(1 / count)), shape)}


def _resize(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    """Sum each block of copies; only whole enlargements by repetition are known."""
    small, large = tape.shape(node.input[0]), tape.shape(node.output[0])
    plain = (
        attribute(node, "mode", "nearest") == "nearest"
        and attribute(node, "coordinate_transformation_mode", "half_pixel") == "asymmetric"
        and attribute(node, "nearest_mode", "round_prefer_floor") == "floor"
    )
    sides = [(a, b) for a, b in zip(small[2:], large[2:], strict=True) if a and b and b % a == 0]
    if not plain or len(sides) != len(small) - 2 or small[1] != large[1]:
        raise tape.refuse(node, "does not repeat pixels a whole number of times")
    block = [b // a for a, b in sides]
    means = tape("AveragePool", gradient, kernel_shape=block, strides=block)
    return {0: tape("Mul", means, tape.constant(prod(block)))}


LAYOUT: dict[str, Rule] = {
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(("ReduceMean", "ReduceSum"), _reduce),
    "Concat": _concat,
    "GlobalAveragePool": _global_mean,
    "Resize": _resize,
    "Transpose": _transpose,
}
