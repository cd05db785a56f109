"""Reads a model file, trusting nothing: the only door by which a model enters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engines.errors import EngineError
from engines.spec import METADATA_KEY, ModelSpec, decode_spec

if TYPE_CHECKING:
    import onnx

MAX_BYTES = 1 << 30
OPSETS = range(9, 26)
CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})

_FOREIGN = (
    (b"PK\x03\x04", "a zip archive, such as a PyTorch checkpoint, which can hide a pickle"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x80", "a Python pickle"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A verified model: its bytes, so that nobody can swap the file behind our back.

    Parameters
    ----------
    name : file name
    data : the ONNX file
    digest : sha256 of `data`
    spec : the contract read from its metadata
    """

    name: str
    data: bytes
    digest: str
    spec: ModelSpec


def load_model(path: Path) -> Model:
    """Read and verify a model file.

    Raises
    ------
    EngineError
        M01 for a format that can run code, M04 for weights outside the file, M05 for a damaged
        file or a foreign operator or version, M07 for a spec that contradicts the graph.
    """
    data = _read(path)
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            raise EngineError(
                path.name, f"is {what}", "expected a Sonostream ONNX model", fault="M01"
            )
    graph = _parse(path.name, data)
    _check_graph(path.name, graph)
    spec = _read_spec(path.name, graph)
    _check_contract(path.name, graph, spec)
    return Model(path.name, data, hashlib.sha256(data).hexdigest(), spec)


def _read(path: Path) -> bytes:
    try:
        return _read_file(path)
    except OSError as error:
        raise EngineError(path.name[:80], f"cannot be read: {error.strerror}") from error


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise EngineError(
            path.name or str(path), "no such model file", "give the path of an .onnx file"
        )
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise EngineError(path.name, f"{size} bytes", f"expected 1 to {MAX_BYTES}", fault="M05")
    return path.read_bytes()


def _parse(name: str, data: bytes) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto()
        model.ParseFromString(data)
    except DecodeError as error:
        raise EngineError(
            name, "not an ONNX file, or cut", "export it again", fault="M05"
        ) from error
    if not model.graph.node:
        raise EngineError(name, "holds no graph", "expected a Sonostream ONNX model", fault="M05")
    return model


def _check_graph(name: str, model: onnx.ModelProto) -> None:
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location:
            where = next((e.value for e in tensor.external_data if e.key == "location"), "?")
            raise EngineError(
                name,
                f"weights of {tensor.name!r} lie outside the file, in {where!r}",
                "export with all data inside",
                fault="M04",
            )
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            raise EngineError(
                name, f"operators of domain {opset.domain!r}", "expected ai.onnx only", fault="M05"
            )
        if opset.version not in OPSETS:
            limits = f"expected {OPSETS.start} to {OPSETS.stop - 1}"
            raise EngineError(name, f"opset {opset.version}", limits, fault="M05")
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type in CONTROL_FLOW or _has_graph(node):
            operator = f"{node.domain or 'ai.onnx'}.{node.op_type}"
            raise EngineError(
                name,
                f"operator {operator}",
                "custom and control-flow operators are refused",
                fault="M05",
            )
    if model.functions:
        raise EngineError(
            name, "holds local functions", "export with functions inlined", fault="M05"
        )


def _has_graph(node: onnx.NodeProto) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in model.graph.node:
        for attribute in node.attribute:
            yield from (
                [attribute.t, *attribute.tensors] if attribute.HasField("t") else attribute.tensors
            )


def _read_spec(name: str, model: onnx.ModelProto) -> ModelSpec:
    text = {entry.key: entry.value for entry in model.metadata_props}.get(METADATA_KEY)
    if text is None:
        raise EngineError(
            name,
            f"not a Sonostream model: metadata key {METADATA_KEY!r} is absent",
            "export it with `stream train`",
            fault="M08",
        )
    try:
        return decode_spec(text)
    except ValueError as error:
        raise EngineError(name, f"its spec is unusable: {error}", fault="M07") from error


def _check_contract(name: str, model: onnx.ModelProto, spec: ModelSpec) -> None:
    width, height = spec.input_wh
    count = len(spec.classes)
    shapes = {value.name: _shape(value) for value in (*model.graph.input, *model.graph.output)}
    elem = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    expected: dict[str, tuple[int | None, ...]] = {
        "frames": (None, height, width, 3),
        "logits": (None, count),
        "probs": (None, count),
        "cam": (None, count, None, None),
        "features": (None, None),
    }
    for key, want in expected.items():
        have = shapes.get(key)
        if have is None or len(have) != len(want) or not all(map(_fits, have, want)):
            raise EngineError(
                name, f"{key} is {have} in the graph", f"its spec says {want}", fault="M07"
            )
    if set(shapes) != set(expected) or elem.get("frames") != 2:
        raise EngineError(
            name,
            f"inputs and outputs {sorted(shapes)}",
            f"expected uint8 frames and {sorted(expected)}",
            fault="M07",
        )
    quantised = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    if quantised != (spec.precision == "int8"):
        graph = "quantised" if quantised else "not quantised"
        raise EngineError(
            name, f"its graph is {graph}", f"its spec says {spec.precision}", fault="M07"
        )
    features = shapes["features"][1]
    if spec.gate and features and features != len(spec.gate.center):
        raise EngineError(
            name,
            f"features of length {features}",
            f"its gate has {len(spec.gate.center)}",
            fault="M07",
        )


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)


def _fits(have: int | None, want: int | None) -> bool:
    return want is None or have == want
