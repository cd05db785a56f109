"""Strongly typed ONNX: element types that a TensorRT or CUDA engine takes from the graph itself.

Weights and arithmetic of the network become float16 (or bfloat16). Float32 stays where range or
precision asks for it:

- the input up to the first convolution: the cast from uint8 and the normalisation;
- squares and all that follows them (variances, moments): 256 squared is no float16 number;
- what makes the outputs: pooled means, the last layers, the class map, temperature and softmax.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engines.errors import EngineError
from engines.graph_index import GraphIndex, index_graph, parse_graph
from engines.graph_rewrite import (
    cast_input_first,
    clamp_scales,
    drop_unused,
    fold_norms,
    free_depthwise,
)
from engines.options import Precision
from engines.spec import METADATA_KEY, ModelSpec, decode_spec, encode_spec

if TYPE_CHECKING:
    import onnx

OPSETS = {"fp16": 13, "int8": 19, "bf16": 22}
"""The first with float16 arithmetic, float16 scales of Q/DQ, and bfloat16 convolutions."""
LIKE_BF16 = 20
"""From here on, opsets up to that of bf16 differ in the types they take alone."""
COMPUTES = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "QuantizeLinear"})
FUSED = frozenset({"Add", "BatchNormalization", "Clip", "HardSigmoid", "HardSwish", "Relu"})
"""What engines compute together with the convolution before it, so it keeps that type."""
SQUARES = frozenset({"Pow", "Exp", "ReduceSumSquare", "ReduceL2"})
CAREFUL = frozenset({"Softmax", "LayerNormalization", "InstanceNormalization"})
OWN_TYPE = {"Resize": (1, 2, 3)}
"""Inputs with a type of their own: the scales of Resize are always float32."""


def typed_graph(data: bytes, precision: Precision) -> bytes:
    """Return the model with the types that an engine of `precision` computes in.

    Inputs stay uint8 and outputs float32. The metadata names the precision and the float32 model.
    A float32 model is returned as it is, unless its input is transposed before it is cast.

    Parameters
    ----------
    data : a verified model; for int8 one with QuantizeLinear and DequantizeLinear, whose pairs at
        depthwise convolutions are dropped, as these are no slower in float16

    Raises
    ------
    EngineError
        If the model does not suit the precision, or a weight is beyond the range of float16.
    """
    model = parse_graph(data)
    moved = cast_input_first(model)
    if precision == "fp32":
        return _bytes_of(model) if moved else data
    spec = _read_spec(model)
    _suit(model, spec.name, precision)
    if precision == "int8":
        free_depthwise(model)
        clamp_scales(model)
    fold_norms(model)
    _Typing(model, precision, spec.name).write()
    drop_unused(model)
    stands_for = spec.reference_digest or hashlib.sha256(data).hexdigest()
    _stamp(model, msgspec.structs.replace(spec, precision=precision, reference_digest=stands_for))
    return _bytes_of(model)


def _bytes_of(model: onnx.ModelProto) -> bytes:
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _read_spec(model: onnx.ModelProto) -> ModelSpec:
    texts = {entry.key: entry.value for entry in model.metadata_props}
    return decode_spec(texts[METADATA_KEY])


def _stamp(model: onnx.ModelProto, spec: ModelSpec) -> None:
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = encode_spec(spec)


def _suit(model: onnx.ModelProto, name: str, precision: Precision) -> None:
    """Bring the opset to what the precision needs, or refuse the model."""
    quantized = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    if quantized and precision != "int8":
        raise EngineError(name, f"is an int8 model, asked for {precision}", "compile it as int8")
    if not quantized and precision == "int8":
        raise EngineError(name, "is not an int8 model", "make one with `stream calibrate`")
    opset = next(entry for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if precision == "bf16" and opset.version >= LIKE_BF16:
        opset.version = max(opset.version, OPSETS[precision])
    if opset.version < OPSETS[precision]:
        wanted = LIKE_BF16 if precision == "bf16" else OPSETS[precision]
        raise EngineError(name, f"opset {opset.version}", f"{precision} needs {wanted} or later")


@dataclass(slots=True, eq=False)
class _Typing:
    """Gives each node a float type and writes casts where types meet.

    Attributes
    ----------
    half : element type of what is not float32
    single : places of the nodes that stay float32
    casts : name of a tensor in another type, by name and type
    nodes : what is written, in order
    """

    model: onnx.ModelProto
    precision: Precision
    name: str
    index: GraphIndex = field(init=False)
    half: int = field(init=False)
    single: set[int] = field(init=False)
    casts: dict[tuple[str, int], str] = field(init=False, default_factory=dict)
    nodes: list[onnx.NodeProto] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        from onnx import TensorProto

        self.index = index_graph(self.model)
        self.half = TensorProto.BFLOAT16 if self.precision == "bf16" else TensorProto.FLOAT16
        self.single = choose_single(self.model, self.index)

    def write(self) -> None:
        """Replace the nodes of the model by typed ones."""
        made = {
            name: self._type_of(place)
            for place, node in enumerate(self.model.graph.node)
            for name in node.output
        }
        for place, node in enumerate(self.model.graph.node):
            self._write_node(node, self._type_of(place), made)
        copies = [type(node).FromString(node.SerializeToString()) for node in self.nodes]
        del self.model.graph.node[:]
        self.model.graph.node.extend(copies)

    def _type_of(self, place: int) -> int:
        from onnx import TensorProto

        return int(TensorProto.FLOAT) if place in self.single else self.half

    def _write_node(self, node: onnx.NodeProto, kind: int, made: dict[str, int]) -> None:
        from onnx import TensorProto, numpy_helper

        for place, name in enumerate(node.input):
            if self.index.types.get(name) != TensorProto.FLOAT:
                continue
            if place in OWN_TYPE.get(node.op_type, ()):
                continue
            if name in self.index.constants:
                node.input[place] = self._constant(name, kind)
            elif made[name] != kind:
                node.input[place] = self._cast(name, kind)
        for entry in node.attribute:
            if node.op_type == "Cast" and entry.name == "to" and entry.i == TensorProto.FLOAT:
                entry.i = kind
            elif node.op_type == "ConstantOfShape" and entry.t.data_type == TensorProto.FLOAT:
                values = numpy_helper.to_array(entry.t)
                entry.t.CopyFrom(self._as_tensor("value", values.astype(np.float32), kind))
        self.nodes.append(node)

    def _constant(self, name: str, kind: int) -> str:
        from onnx import TensorProto

        if kind == TensorProto.FLOAT:
            return name
        if (name, kind) not in self.casts:
            values = self.index.value(name).astype(np.float32)
            typed = self._as_tensor(name, values, kind)
            typed.name = _typed_name(name, kind)
            self.model.graph.initializer.append(typed)
            self.casts[name, kind] = typed.name
        return self.casts[name, kind]

    def _as_tensor(self, name: str, values: np.ndarray, kind: int) -> onnx.TensorProto:
        from onnx import helper, numpy_helper

        with np.errstate(over="ignore"):
            typed = values.astype(helper.tensor_dtype_to_np_dtype(kind))
        if np.isfinite(values).all() and not np.isfinite(typed.astype(np.float32)).all():
            largest = float(np.abs(values).max())
            raise EngineError(
                self.name,
                f"constant {name!r} reaches {largest:.3g}, beyond {self.precision}",
                "compile it as bf16 or fp32",
            )
        return numpy_helper.from_array(typed, name)

    def _cast(self, name: str, kind: int) -> str:
        from onnx import helper

        if (name, kind) not in self.casts:
            typed = _typed_name(name, kind)
            self.nodes.append(helper.make_node("Cast", [name], [typed], name=typed, to=kind))
            self.casts[name, kind] = typed
        return self.casts[name, kind]


def _typed_name(name: str, kind: int) -> str:
    from onnx import TensorProto

    return f"{name}_as_{TensorProto.DataType.Name(kind).lower()}"


def choose_single(model: onnx.ModelProto, index: GraphIndex) -> set[int]:
    """Return the places of the nodes that stay float32."""
    fed, computed, squared, fused = (set[str]() for _ in range(4))
    fed.add("frames")
    single = set[int]()
    for place, node in enumerate(model.graph.node):
        names = set(node.input)
        if names & fed:
            fed.update(node.output)
        if node.op_type in COMPUTES or names & computed:
            computed.update(node.output)
        if node.op_type in SQUARES or _squares(node) or names & squared:
            squared.update(node.output)
        if node.op_type == "Conv" or (node.op_type in FUSED and names & fused):
            fused.update(node.output)
        before = fed.issuperset(node.output) and not computed.intersection(node.output)
        if before or node.op_type in CAREFUL or squared.intersection(node.output):
            single.add(place)
    return _grow(model, index, single, fused)


def _grow(model: onnx.ModelProto, index: GraphIndex, single: set[int], fused: set[str]) -> set[int]:
    """Add what makes an output, and what is read by such nodes alone unless fused."""
    outputs = {value.name for value in model.graph.output}
    places = {node.output[0]: place for place, node in enumerate(model.graph.node)}
    for place, node in reversed(list(enumerate(model.graph.node))):
        readers = [reader for name in node.output for reader, _ in index.readers.get(name, [])]
        alone = all(places[reader.output[0]] in single for reader in readers)
        if outputs.intersection(node.output) or (alone and not fused.intersection(node.output)):
            single.add(place)
    return single


def _squares(node: onnx.NodeProto) -> bool:
    return node.op_type == "Mul" and node.input[0] == node.input[1]
