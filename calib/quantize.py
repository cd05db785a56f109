"""Inserts QuantizeLinear and DequantizeLinear: symmetric int8, one graph for every runtime.

The convolutions on the way to the logits are quantised: weights to int8 per output channel (axis
0), inputs to int8 per tensor, zero points 0, biases float. The class maps, the classifier, what
follows a mean over the map (squeeze-and-excitation, statistics of the head), normalisation and
softmax stay float; a weight that is also used there keeps its float copy.

A residual sum takes its skip from the quantised tensor where a convolution reads that tensor too,
so the skip travels as int8 and the other branch stays inside its convolution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from engines.graph_index import attribute, parse_graph
from engines.load import Model
from engines.spec import METADATA_KEY, encode_spec

LEVELS = 127
LEAST_SCALE = 2.0**-24
"""For tensors that are zero throughout."""
CALIBRATION_KEY = "sonostream-calibration"
POOLS = frozenset({"ReduceMean", "GlobalAveragePool", "GlobalMaxPool", "ReduceMax"})

_ZERO = "int8_zero"


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a graph was quantised; travels in the metadata of the INT8 model.

    Parameters
    ----------
    calibrator : name of the rule that chose the scales
    frames_digest : sha256 of the list of calibration frames
    float_layers : convolutions left in float
    """

    calibrator: str
    frames_digest: str
    float_layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution that can be quantised.

    Parameters
    ----------
    name : of its output
    source : tensor that it convolves
    weight : constant of shape (O, I, kh, kw)
    depthwise : whether each channel is convolved by itself
    """

    name: str
    source: str
    weight: str
    depthwise: bool


def find_layers(graph: onnx.GraphProto) -> tuple[Layer, ...]:
    """Return the convolutions that can be quantised, in graph order.

    Those with constant weights that the logits depend on, before any mean over the map.
    """
    constants = {tensor.name for tensor in graph.initializer}
    needed, pooled = {"logits"}, set(constants)
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
    layers = []
    for node in graph.node:
        if node.op_type in POOLS or pooled.issuperset(node.input):
            pooled.update(node.output)
        elif node.op_type == "Conv" and node.input[1] in constants and node.output[0] in needed:
            depthwise = attribute(node, "group", 1) > 1
            layers.append(Layer(node.output[0], node.input[0], node.input[1], depthwise))
    return tuple(layers)


def quantize(model: Model, scales: Mapping[str, float], calibration: Calibration) -> Model:
    """Return the INT8 model of an FP32 model that `calib.center` has prepared.

    Parameters
    ----------
    scales : step of every tensor that a quantised convolution reads, by name
    calibration : `float_layers` name the convolutions to leave as they are
    """
    proto = parse_graph(model.data)
    kept = set(calibration.float_layers)
    insert_pairs(proto.graph, [x for x in find_layers(proto.graph) if x.name not in kept], scales)
    spec = msgspec.structs.replace(model.spec, precision="int8")
    notes = {entry.key: entry.value for entry in proto.metadata_props}
    notes[METADATA_KEY] = encode_spec(spec)
    notes[CALIBRATION_KEY] = msgspec.json.encode(calibration).decode()
    del proto.metadata_props[:]
    helper.set_model_props(proto, notes)
    data = proto.SerializeToString(deterministic=True)
    return Model(model.name, data, hashlib.sha256(data).hexdigest(), spec)


def insert_pairs(
    graph: onnx.GraphProto, layers: Collection[Layer], scales: Mapping[str, float]
) -> None:
    """Give these layers int8 weights and inputs; changes the graph in place."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    chosen = {layer.name for layer in layers}
    sources = dict.fromkeys(layer.source for layer in layers)
    stored = [numpy_helper.from_array(np.array(0, np.int8), _ZERO)]
    before = []
    for layer in layers:
        tensors, pair = _weight_pair(layer, numpy_helper.to_array(constants[layer.weight]))
        stored += tensors
        before.append(pair)
    stored += [_constant(f"{name}_step", np.float32(scales[name])) for name in sources]
    for node in graph.node:
        if node.output[0] in chosen:
            node.input[0], node.input[1] = _after(node.input[0]), f"{node.output[0]}_weight"
        elif node.op_type == "Add":
            node.input[:] = [_after(name) if name in sources else name for name in node.input]
    after = {name: _input_pair(name) for name in sources}
    nodes = [*before, *(n for node in graph.node for n in (node, *_pairs(node, after)))]
    _replace_nodes(graph, nodes)
    used = {name for node in graph.node for name in node.input}
    _replace_constants(graph, [t for t in (*graph.initializer, *stored) if t.name in used])


def quantize_weight(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a weight as whole steps, and the step of each output channel.

    Parameters
    ----------
    weight : shape (O, ...)

    Returns
    -------
    steps of the shape of `weight`, within -127 and 127, and scales of shape (O,); the largest
    weight of a channel is 127 steps
    """
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scale = np.maximum(largest / LEVELS, LEAST_SCALE).astype(np.float32)
    column = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return np.clip(np.rint(weight / column), -LEVELS, LEVELS).astype(np.int8), scale


def _weight_pair(layer: Layer, weight: NDArray[np.float32]) -> tuple[list[TensorProto], NodeProto]:
    name = f"{layer.name}_weight"
    steps, scale = quantize_weight(weight)
    tensors = [
        _constant(f"{name}_int8", steps),
        _constant(f"{name}_scale", scale),
        _constant(f"{name}_zero", np.zeros(len(scale), np.int8)),
    ]
    names = [tensor.name for tensor in tensors]
    return tensors, helper.make_node("DequantizeLinear", names, [name], name, axis=0)


def _input_pair(name: str) -> tuple[NodeProto, NodeProto]:
    step, steps = f"{name}_step", f"{name}_int8"
    quantized = helper.make_node("QuantizeLinear", [name, step, _ZERO], [steps], steps)
    output = _after(name)
    return quantized, helper.make_node("DequantizeLinear", [steps, step, _ZERO], [output], output)


def _after(name: str) -> str:
    return f"{name}_rounded"


def _pairs(node: NodeProto, after: Mapping[str, tuple[NodeProto, NodeProto]]) -> list[NodeProto]:
    return [pair for name in node.output for pair in after.get(name, ())]


def _constant(name: str, values: NDArray[Any] | np.generic) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


def _replace_nodes(graph: onnx.GraphProto, nodes: Collection[NodeProto]) -> None:
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _replace_constants(graph: onnx.GraphProto, tensors: Collection[TensorProto]) -> None:
    copies = [TensorProto.FromString(tensor.SerializeToString()) for tensor in tensors]
    del graph.initializer[:]
    graph.initializer.extend(copies)
