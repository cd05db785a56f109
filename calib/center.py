"""Moves clipped activations around zero, where symmetric int8 has twice the steps for them.

A ReLU6 is a Clip to [0, 6]; symmetric int8 spends half of its levels below zero, where nothing
is. Less its middle it is a Clip to [-3, 3]; the middle moves into the bias of the convolution
before and, times the sum of its weights, into that of the convolution after. The answers stay the
same but for rounding, and no node is added. A convolution that pads would pad with the middle,
so the move is made only where all readers are convolutions without padding.
"""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from engines.graph_index import GraphIndex, attribute, index_graph, parse_graph
from engines.graph_rewrite import cast_input_first, drop_unused
from engines.load import Model


def center_clips(model: Model) -> Model:
    """Return the float32 model with clips moved around zero, its spec naming the one it is from."""
    proto = parse_graph(model.data)
    cast_input_first(proto)
    index = index_graph(proto)
    shown = {value.name for value in proto.graph.output}
    for node in proto.graph.node:
        if shown.isdisjoint((*node.input, *node.output)) and _can_move(node, index):
            _move(proto, node, index)
    drop_unused(proto)
    spec = msgspec.structs.replace(model.spec, reference_digest=model.digest)
    data = proto.SerializeToString(deterministic=True)
    return Model(model.name, data, hashlib.sha256(data).hexdigest(), spec)


def set_bias(model: onnx.ModelProto, node: onnx.NodeProto, bias: NDArray[np.floating]) -> None:
    """Give a Conv or Gemm another bias (O,), which it shares with no other node."""
    name = f"{node.output[0]}_bias"
    tensor = numpy_helper.from_array(bias.astype(np.float32), name)
    own = [known for known in model.graph.initializer if known.name == name]
    for known in own:
        known.CopyFrom(tensor)
    if not own:
        model.graph.initializer.append(tensor)
    del node.input[2:]
    node.input.append(name)


def read_bias(node: onnx.NodeProto, index: GraphIndex) -> NDArray[np.float64]:
    """Return the bias of a Conv or Gemm with constant weights, shape (O,), or one 0 for none."""
    if len(node.input) < 3:
        return np.zeros(1)
    return index.value(node.input[2]).astype(np.float64)


def _can_move(node: onnx.NodeProto, index: GraphIndex) -> bool:
    before = index.producers.get(node.input[0])
    if node.op_type != "Clip" or len(node.input) < 3 or before is None:
        return False
    around = [before, *(reader for reader, _ in index.readers.get(node.output[0], []))]
    return (
        all(name in index.constants for name in node.input[1:])
        and len(index.readers[before.output[0]]) == 1
        and len(around) > 1
        and all(x.op_type == "Conv" and x.input[1] in index.constants for x in around)
        and all(_is_unpadded(reader) for reader in around[1:])
    )


def _is_unpadded(conv: onnx.NodeProto) -> bool:
    padding = attribute(conv, "auto_pad", "NOTSET")
    return not any(attribute(conv, "pads", [0])) and padding in ("NOTSET", "VALID")


def _move(model: onnx.ModelProto, clip: onnx.NodeProto, index: GraphIndex) -> None:
    low, high = (float(index.value(name).item()) for name in clip.input[1:3])
    middle = (low + high) / 2
    before = index.producers[clip.input[0]]
    readers = [reader for reader, _ in index.readers[clip.output[0]]]
    count = index.constants[before.input[1]].dims[0]
    set_bias(model, before, np.broadcast_to(read_bias(before, index) - middle, count))
    for place, limit in ((1, low), (2, high)):
        name = f"{clip.output[0]}_limit_{place}"
        number = np.asarray(limit - middle, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(number, name))
        clip.input[place] = name
    for reader in readers:
        weight = index.value(reader.input[1]).astype(np.float64)
        share = weight.reshape(len(weight), -1).sum(axis=1) * middle
        set_bias(model, reader, read_bias(reader, index) + share)
    index.constants.update({tensor.name: tensor for tensor in model.graph.initializer})
