"""Gradients of operators that work on each value alone.

A rule takes the tape, a node and the gradient of its output, and returns the gradient of each of
its inputs that the pixels reach, by place. At a corner the gradient is that of one of the sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engines.gradient.tape import Tape
from engines.graph_index import attribute

if TYPE_CHECKING:
    import onnx

Rule = Callable[[Tape, "onnx.NodeProto", str], dict[int, str]]


def _each(
    tape: Tape, node: onnx.NodeProto, gradients: dict[int, Callable[[], str]]
) -> dict[int, str]:
    """Write the gradients of the inputs that the pixels reach, summed where they were broadcast."""
    made = tape.shape(node.output[0])
    return {
        place: tape.fold(write(), made, tape.shape(node.input[place]))
        for place, write in gradients.items()
        if node.input[place] in tape.live
    }


def _add(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    return _each(tape, node, {0: lambda: gradient, 1: lambda: gradient})


def _sub(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    return _each(tape, node, {0: lambda: gradient, 1: lambda: tape("Neg", gradient)})


def _mul(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    left, right = node.input
    return _each(
        tape,
        node,
        {0: lambda: tape("Mul", gradient, right), 1: lambda: tape("Mul", gradient, left)},
    )


def _div(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    divisor = node.input[1]

    def by_divisor() -> str:
        share = tape("Div", tape("Mul", gradient, node.output[0]), divisor)
        return tape("Neg", share)

    return _each(tape, node, {0: lambda: tape("Div", gradient, divisor), 1: by_divisor})


def _pow(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    power = float(tape.value(node, 1).item())
    lower = node.input[0]
    if power != 2:
        lower = tape("Pow", lower, tape.constant(power - 1))
    return {0: tape("Mul", gradient, tape("Mul", lower, tape.constant(power)))}


def _sqrt(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    half = tape("Div", tape.constant(0.5), node.output[0])
    return {0: tape("Mul", gradient, half)}


def _relu(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    passed = tape("Greater", node.output[0], tape.constant(0.0))
    return {0: tape("Where", passed, gradient, tape.constant(0.0))}


def _clip(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    passed = tape("Equal", node.input[0], node.output[0])
    return {0: tape("Where", passed, gradient, tape.constant(0.0))}


def _sigmoid(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    rest = tape("Sub", tape.constant(1.0), node.output[0])
    return {0: tape("Mul", gradient, tape("Mul", node.output[0], rest))}


def _hard_sigmoid(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    above = tape("Greater", node.output[0], tape.constant(0.0))
    below = tape("Less", node.output[0], tape.constant(1.0))
    slope = tape("Mul", gradient, tape.constant(attribute(node, "alpha", 0.2)))
    return {0: tape("Where", tape("And", above, below), slope, tape.constant(0.0))}


def _hard_swish(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    """Return x / 3 + 1 / 2 between -3 and 3, and 0 or 1 outside, times the gradient."""
    source = node.input[0]
    inside = tape("Clip", source, tape.constant(-3.0), tape.constant(3.0))
    curved = tape("Add", tape("Mul", source, tape.constant(1 / 3)), tape.constant(0.5))
    outside = tape("Cast", tape("Greater", source, tape.constant(0.0)), to=1)
    slope = tape("Where", tape("Equal", source, inside), curved, outside)
    return {0: tape("Mul", gradient, slope)}


def _pass(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    return {0: gradient}


POINTWISE: dict[str, Rule] = {
    "Add": _add,
    "Cast": _pass,
    "Clip": _clip,
    "Div": _div,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _pass,
    "Mul": _mul,
    "Pow": _pow,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Sqrt": _sqrt,
    "Sub": _sub,
}
