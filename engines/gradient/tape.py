"""Writes nodes behind a forward graph and knows the shapes of its tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engines.errors import EngineError
from engines.graph_index import GraphIndex, Shape

if TYPE_CHECKING:
    import onnx


@dataclass(slots=True, eq=False)
class Tape:
    """Nodes and constants written so far.

    Parameters
    ----------
    subject : name of the model, for errors
    index : the forward graph
    live : tensors through which the logits depend on the pixels
    """

    subject: str
    index: GraphIndex
    live: set[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    _kept: dict[tuple[bytes, str, Shape], str] = field(default_factory=dict)

    def write(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node and return the names of its outputs."""
        from onnx import helper

        stem = f"gradient/{operator}_{len(self.nodes)}"
        names = [stem if place == 0 else f"{stem}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=stem, **attributes))
        return names

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return its name."""
        return self.write(operator, *inputs, **attributes)[0]

    def constant(self, values: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """Add a constant, once, and return its name."""
        from onnx import numpy_helper

        array = np.array(values, dtype, order="C")
        key = (array.tobytes(), array.dtype.str, array.shape)
        if key not in self._kept:
            name = f"gradient/constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, name))
            self._kept[key] = name
        return self._kept[key]

    def numbers(self, *values: int) -> str:
        """Add a list of whole numbers, such as axes."""
        return self.constant(values, np.int64)

    def shape(self, name: str) -> Shape:
        """Return the shape of a tensor of the forward graph, None where it may vary."""
        found = self.index.shapes.get(name)
        if found is None or sum(size is None for size in found) > 1:
            raise EngineError(
                self.subject, f"the shape of {name!r} is not known", "export it again"
            )
        return found

    def value(self, node: onnx.NodeProto, place: int) -> NDArray[np.float32]:
        """Return an input of a node that must be constant.

        Raises
        ------
        EngineError
            If it is computed.
        """
        name = node.input[place]
        if name not in self.index.constants:
            raise self.refuse(node, f"computes its input {name!r}")
        return np.asarray(self.index.value(name))

    def refuse(self, node: onnx.NodeProto, why: str) -> EngineError:
        """Return the error for a node that cannot be differentiated."""
        return EngineError(
            self.subject,
            f"cannot be explained: {node.op_type} {node.output[0]!r} {why}",
            "gradients are known for the operators of our own float32 exports",
        )

    def reshape(self, gradient: str, shape: Shape) -> str:
        """Give a gradient the shape of a forward tensor."""
        return self("Reshape", gradient, self.numbers(*(-1 if s is None else s for s in shape)))

    def spread(self, gradient: str, shape: Shape) -> str:
        """Repeat a gradient along the dimensions where it has one entry."""
        return self("Expand", gradient, self.numbers(*(1 if s is None else s for s in shape)))

    def fold(self, gradient: str, made: Shape, read: Shape) -> str:
        """Sum a gradient of shape `made` over what was broadcast from shape `read`."""
        lead = len(made) - len(read)
        axes = [
            axis
            for axis, size in enumerate(made)
            if axis < lead or (read[axis - lead] == 1 and size != 1)
        ]
        if axes:
            gradient = self("ReduceSum", gradient, self.numbers(*axes), keepdims=1)
        return self.reshape(gradient, read) if lead else gradient
