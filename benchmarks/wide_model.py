"""The bundled model with more classes: the same body, its head repeated."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from onnx import NodeProto, numpy_helper

from engines.graph_index import parse_graph
from engines.load import Model, load_model
from engines.open import DEMO_MODEL
from engines.spec import METADATA_KEY, encode_spec

HEADS = ("logits", "cam")


def make_wide(classes: int, folder: Path) -> Model:
    """Return a model of so many classes, at least two; what it answers means nothing.

    Raises
    ------
    EngineError
        If the model cannot be used.
    """
    given = load_model(DEMO_MODEL)
    proto = parse_graph(given.data)
    old = len(given.spec.classes)
    names = {name for node in proto.graph.node if _is_head(node) for name in node.input}
    for tensor in proto.graph.initializer:
        if tensor.name in names and tensor.dims[0] == old:
            weight = np.resize(numpy_helper.to_array(tensor), (classes, *tensor.dims[1:]))
            tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    for value in proto.graph.output:
        if value.name != "features":
            value.type.tensor_type.shape.dim[1].dim_value = classes
    del proto.graph.value_info[:]
    spec = msgspec.structs.replace(
        given.spec,
        classes=given.spec.classes + tuple(f"class {number}" for number in range(old, classes)),
        cam_scale=given.spec.cam_scale[:1] * classes,
    )
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = encode_spec(spec)
    path = folder / f"classes{classes}.onnx"
    path.write_bytes(proto.SerializeToString())
    return load_model(path)


def _is_head(node: NodeProto) -> bool:
    return any(name in HEADS for name in node.output)
