"""Takes the mean error of quantisation out of the biases.

Rounding weights shifts the mean of a channel by the same amount in every frame, and shifts add up
over layers. The float and the int8 graph are walked side by side; after each convolution the int8
graph's bias takes up the difference of the channel means, before the walk goes on.

References
----------
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2: the empirical form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from engines.cpu import count_cores
from engines.graph_index import parse_graph
from engines.load import Model
from engines.ort import CPU, open_session, session_options

Array = NDArray[np.generic]

CORRECTED = frozenset({"Conv", "Gemm"})


class Walk:
    """One graph, run node by node over a batch; holds only tensors that are still needed.

    Parameters
    ----------
    model : whose name stands in errors
    proto : graph to run, in the order of its nodes
    frames : shape (N, h, w, 3), uint8 RGB
    """

    def __init__(self, model: Model, proto: onnx.ModelProto, frames: NDArray[np.uint8]) -> None:
        self._model, self._proto = model, proto
        self._constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
        self._reads = Counter(name for node in proto.graph.node for name in node.input)
        self.values: dict[str, Array] = {"frames": frames}

    def steps(self) -> Iterator[onnx.NodeProto]:
        """Run one node after another; yield each when its outputs are among `values`."""
        for node in self._proto.graph.node:
            self._run(node)
            yield node
            for name in {*node.input} & self.values.keys():
                self._reads[name] -= node.input[:].count(name)
                if self._reads[name] <= 0:
                    del self.values[name]

    def _run(self, node: onnx.NodeProto) -> None:
        names = [name for name in dict.fromkeys(node.input) if name]
        given = {name: self.values.get(name, self._constants.get(name)) for name in names}
        inputs = [_describe(name, given[name].dtype) for name in names]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "node", inputs, outputs)
        part = helper.make_model(graph, opset_imports=self._proto.opset_import)
        part.ir_version = self._proto.ir_version
        settings = session_options(count_cores())
        session = open_session(self._model, part.SerializeToString(), settings, [CPU])
        found = session.run(None, given)
        self.values.update(zip((value.name for value in outputs), found, strict=True))
