"""Takes the mean error of quantisation out of the biases.

Rounding weights shifts the mean of a channel by the same amount in every frame, and shifts add up
over layers. The int8 graph is walked node by node; after each convolution, and at the classifier,
its bias takes up the difference of the channel means from those of the float graph, before the
walk goes on. Nothing else that is cheap gains as much on MobileNetV2.

References
----------
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2: the empirical form.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from calib.center import read_bias, set_bias
from engines.cpu import count_cores
from engines.graph_index import index_graph, parse_graph
from engines.load import Model
from engines.ort import CPU, open_session, session_options

Means = Mapping[str, NDArray[np.float64]]
Tensors = dict[str, NDArray[Any]]


def measure_means(model: Model, frames: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Return the channel means, shape (O,), of every output that has a bias of its own.

    Parameters
    ----------
    frames : shape (N, h, w, 3), uint8 RGB
    """
    proto = parse_graph(model.data)
    names = _biased(proto)
    return {
        node.output[0]: _channel_means(values[node.output[0]])
        for node, values in _walk(model, proto, frames)
        if node.output[0] in names
    }


def correct_biases(model: Model, wanted: Means, frames: NDArray[np.uint8]) -> Model:
    """Return the int8 model with biases that give the float model's channel means.

    Parameters
    ----------
    wanted : of the float model over the same frames
    """
    proto = parse_graph(model.data)
    index = index_graph(proto)
    names = _biased(proto)
    for node, values in _walk(model, proto, frames):
        name = node.output[0]
        if name in names:
            shift = _channel_means(values[name]) - wanted[name]
            set_bias(proto, node, read_bias(node, index) - shift)
            across = shift.reshape(-1, *[1] * (values[name].ndim - 2))
            values[name] = values[name] - across.astype(np.float32)
    data = proto.SerializeToString(deterministic=True)
    return Model(model.name, data, hashlib.sha256(data).hexdigest(), model.spec)


def _biased(proto: onnx.ModelProto) -> set[str]:
    """Return the outputs of convolutions and classifiers that the logits depend on."""
    needed, found = {"logits"}, set()
    for node in reversed(proto.graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            if node.op_type in ("Conv", "Gemm"):
                found.add(node.output[0])
    return found


def _channel_means(values: NDArray[np.float32]) -> NDArray[np.float64]:
    axes = (0, *range(2, values.ndim))
    return np.asarray(values.mean(axis=axes, dtype=np.float64))


def _walk(
    model: Model, proto: onnx.ModelProto, frames: NDArray[np.uint8]
) -> Iterator[tuple[onnx.NodeProto, Tensors]]:
    """Run node after node over all frames; yield each with the tensors still needed.

    What the caller changes in the tensors is what later nodes read.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    reads = Counter(name for node in proto.graph.node for name in node.input)
    values: Tensors = {"frames": frames}
    for node in proto.graph.node:
        taken = list(node.input)
        given = {n: values[n] if n in values else constants[n] for n in taken if n}
        values.update(_run_node(model, proto, node, given))
        yield node, values
        reads.subtract(taken)
        for name in values.keys() & set(taken):
            if reads[name] <= 0:
                del values[name]


def _run_node(
    model: Model, proto: onnx.ModelProto, node: onnx.NodeProto, given: Tensors
) -> Tensors:
    kinds = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in given.items()}
    inputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "node", inputs, outputs)
    part = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    session = open_session(model, part.SerializeToString(), session_options(count_cores()), [CPU])
    return dict(zip(node.output, session.run(None, given), strict=True))
