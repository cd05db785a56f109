"""How fast a card could run a model if only its memory's bandwidth counted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.engine_parts import fix_batch
from benchmarks.engine_rows import TRACER, find_obstacle
from benchmarks.plan import Device
from engines.errors import EngineError
from engines.graph_index import GraphIndex, index_graph, parse_graph
from engines.load import Model
from engines.options import Precision
from engines.typed import typed_graph

LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


def count_bytes(model: Model, precision: Precision) -> tuple[int, int]:
    """Return the bytes that a run moves whatever its batch, and for each frame, at the least.

    Each layer with weights is taken to be a kernel of its own: it reads what other layers, or the
    caller, left in memory, and writes its answer there, as one layer's values for a whole batch
    outgrow the caches. All other operators are taken to be free, as they can be computed while a
    layer reads or writes. Outputs are written once, and constants read once in a run. A card whose
    cache holds all values of a small batch can be faster than this.

    Parameters
    ----------
    precision : fp32 or fp16; sizes are those of the typed graph that the engines get

    Raises
    ------
    EngineError
        If the size of a value cannot be inferred.
    """
    proto = parse_graph(fix_batch(typed_graph(model.data, precision)))
    index, moved = index_graph(proto), 0
    stored = {value.name: {value.name} for value in proto.graph.input}
    for node in proto.graph.node:
        read = set[str]().union(*(stored.get(name, ()) for name in node.input))
        if node.op_type in LAYERS:
            moved += sum(_size(name, index) for name in (*read, node.output[0]))
        stored |= {name: {name} if node.op_type in LAYERS else read for name in node.output}
    names = [value.name for value in proto.graph.output]
    moved += sum(_size(name, index) for name in names if stored[name] != {name})
    return sum(_size(name, index) for name in index.constants), moved


def measure_bounds(
    model: Model, batches: Sequence[int], rounds: int, device: Device
) -> tuple[list[dict[str, Any]], str]:
    """Return the bounds of a model on the card of this machine; without any, why."""
    if obstacle := find_obstacle(TRACER, device):
        return [], obstacle
    from benchmarks.gpu_card import measure_bandwidth

    try:
        bytes_hz = [measure_bandwidth() for _ in range(rounds)]
        return list(find_bounds(model, batches, bytes_hz)), ""
    except EngineError as error:
        return [], f"{error.subject}: {error.problem}"


def find_bounds(
    model: Model, batches: Sequence[int], bytes_hz: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Yield the frames per second that a card's bandwidth allows, for each precision and batch.

    Parameters
    ----------
    bytes_hz : bytes per second that the card read and wrote in a copy, once a round
    """
    for precision in PRECISIONS:
        constants, each = count_bytes(model, precision)
        for batch in batches:
            moved = constants + batch * each
            yield {
                "precision": precision,
                "batch": batch,
                "bytes": moved,
                "bytes_hz_rounds": list(bytes_hz),
                "fps_rounds": [batch * rate / moved for rate in bytes_hz],
            }


def _size(name: str, index: GraphIndex) -> int:
    from onnx import helper

    shape = index.shapes.get(name, (None,))
    if None in shape:
        raise EngineError(name, f"has shape {shape}", "expected sizes that ONNX can infer")
    each = np.dtype(helper.tensor_dtype_to_np_dtype(index.types[name])).itemsize
    return math.prod(size for size in shape if size is not None) * each
