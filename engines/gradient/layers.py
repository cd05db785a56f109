"""Gradients of fully connected layers and normalisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.gradient.pointwise import Rule
from engines.gradient.tape import Tape
from engines.graph_index import attribute

if TYPE_CHECKING:
    import onnx


def _gemm(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    if attribute(node, "transA", 0):
        raise tape.refuse(node, "transposes its first input")
    weights = tape.value(node, 1) * np.float32(attribute(node, "alpha", 1.0))
    back = weights if attribute(node, "transB", 0) else weights.T
    return {0: tape("MatMul", gradient, tape.constant(back))}


def _mat_mul(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    return {0: tape("MatMul", gradient, tape.constant(tape.value(node, 1).swapaxes(-1, -2)))}


def _batch_norm(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    gain, variance = tape.value(node, 1), tape.value(node, 4)
    factor = gain / np.sqrt(variance + np.float32(attribute(node, "epsilon", 1e-5)))
    ones = [1] * (len(tape.shape(node.input[0])) - 2)
    return {0: tape("Mul", gradient, tape.constant(factor.reshape(1, -1, *ones)))}


def _layer_norm(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    """Take out of the gradient what moves the mean or the variance of the last axis.

    References
    ----------
    Ba et al., "Layer Normalization", 2016, section 3; its derivative.
    """
    if attribute(node, "axis", -1) not in (-1, len(tape.shape(node.input[0])) - 1):
        raise tape.refuse(node, "normalises more than its last axis")
    last = tape.numbers(-1)
    source = node.input[0]
    centred = tape("Sub", source, tape("ReduceMean", source, last))
    variance = tape("ReduceMean", tape("Mul", centred, centred), last)
    epsilon = tape.constant(attribute(node, "epsilon", 1e-5))
    deviation = tape("Sqrt", tape("Add", variance, epsilon))
    unit = tape("Div", centred, deviation)
    scaled = tape("Mul", gradient, node.input[1])
    moved = tape("ReduceMean", scaled, last)
    stretched = tape("ReduceMean", tape("Mul", scaled, unit), last)
    rest = tape("Sub", tape("Sub", scaled, moved), tape("Mul", unit, stretched))
    return {0: tape("Div", rest, deviation)}


LAYERS: dict[str, Rule] = {
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "LayerNormalization": _layer_norm,
    "MatMul": _mat_mul,
}
