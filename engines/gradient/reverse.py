"""Walks a graph backwards and writes the gradient of a weighted sum of its logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.errors import EngineError
from engines.gradient.layers import LAYERS
from engines.gradient.layout import LAYOUT
from engines.gradient.pointwise import POINTWISE, Rule
from engines.gradient.tape import Tape
from engines.gradient.windows import WINDOWS
from engines.graph_index import GraphIndex

if TYPE_CHECKING:
    import onnx

RULES: dict[str, Rule] = {**POINTWISE, **LAYOUT, **WINDOWS, **LAYERS}


def find_live(nodes: list[onnx.NodeProto], index: GraphIndex, source: str) -> set[str]:
    """Return the float32 tensors that depend on `source` through float32 tensors alone.

    What passes through a comparison or a choice of the largest has no gradient.
    """
    from onnx import TensorProto

    live = {source}
    for node in nodes:
        if live.intersection(node.input):
            live.update(n for n in node.output if index.types.get(n) == TensorProto.FLOAT)
    return live


def write_gradient(
    tape: Tape, nodes: list[onnx.NodeProto], seeds: dict[str, str], source: str
) -> str:
    """Write the gradient of `source` and return its name.

    Parameters
    ----------
    nodes : the forward graph, in order
    seeds : name of the gradient of each result, by the name of the result

    Raises
    ------
    EngineError
        If a node has no rule, or the result does not depend on `source`.
    """
    gradients = dict(seeds)
    for node in reversed(nodes):
        gradient = gradients.get(node.output[0])
        if gradient is None or not tape.live.intersection(node.input):
            continue
        if node.op_type not in RULES:
            raise tape.refuse(node, "has no rule")
        for place, part in RULES[node.op_type](tape, node, gradient).items():
            name = node.input[place]
            before = gradients.get(name)
            gradients[name] = part if before is None else tape("Add", before, part)
    if source not in gradients:
        raise EngineError(
            tape.subject,
            "its logits have no gradient",
            "explain the float32 model it was made from",
        )
    return gradients[source]
