"""An ONNX graph by name: constants, who makes and who reads a tensor, types and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Shape = tuple[int | None, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class GraphIndex:
    """What is known of each tensor of a graph.

    Parameters
    ----------
    constants : initializers and outputs of Constant nodes
    producers : node that writes a tensor
    readers : nodes that read a tensor, with the place among their inputs
    types : element type as numbered by ONNX, where inference finds it
    shapes : where inference finds the rank; a dimension that may vary is None
    """

    constants: dict[str, onnx.TensorProto]
    producers: dict[str, onnx.NodeProto]
    readers: dict[str, list[tuple[onnx.NodeProto, int]]]
    types: dict[str, int]
    shapes: dict[str, Shape]

    def value(self, name: str) -> NDArray[np.generic]:
        """Return a constant as an array."""
        from onnx import numpy_helper

        return numpy_helper.to_array(self.constants[name])


def index_graph(model: onnx.ModelProto, strict: bool = False) -> GraphIndex:
    """Infer types and shapes and index the graph; nodes are those of `model` itself.

    With `strict`, onnx's InferenceError is raised where types or shapes contradict each other.
    """
    import onnx

    inferred = onnx.shape_inference.infer_shapes(
        model, check_type=strict, strict_mode=strict, data_prop=True
    ).graph
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers, readers = {}, dict[str, list[tuple[onnx.NodeProto, int]]]()
    for node in model.graph.node:
        producers.update({name: node for name in node.output if name})
        for place, name in enumerate(node.input):
            if name:
                readers.setdefault(name, []).append((node, place))
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            constants[node.output[0]] = node.attribute[0].t
    types = {name: tensor.data_type for name, tensor in constants.items()}
    shapes: dict[str, Shape] = {name: tuple(t.dims) for name, t in constants.items()}
    for value in (*inferred.input, *inferred.output, *inferred.value_info):
        kind = value.type.tensor_type
        types[value.name] = kind.elem_type
        if kind.HasField("shape"):
            shapes[value.name] = tuple(
                d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim
            )
    return GraphIndex(constants, producers, readers, types, shapes)


def parse_graph(data: bytes) -> onnx.ModelProto:
    """Parse the bytes of a verified model."""
    import onnx

    model = onnx.ModelProto()
    model.ParseFromString(data)
    return model


def attribute(node: onnx.NodeProto, name: str, default: T) -> T:
    """Return an attribute of a node, texts decoded, or `default` where it is absent."""
    from onnx import helper

    for entry in node.attribute:
        if entry.name == name:
            found: Any = helper.get_attribute_value(entry)
            if isinstance(found, bytes):
                found = found.decode()
            return cast("T", found)
    return default
