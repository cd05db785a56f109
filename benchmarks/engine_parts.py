"""What the class maps cost, and what an explanation costs, each against the plain run.

Both run graphs rather than engines, on all cores, one frame at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.engine_turns import Frames, Turns, draw_noise, take_turns
from engines.explain import STEPS, explain_graph
from engines.graph_index import parse_graph
from engines.graph_rewrite import drop_unused
from engines.load import Model

Run = Callable[[Mapping[str, Any]], object]
Open = Callable[[bytes], Run]


@dataclass(frozen=True, slots=True)
class Ran:
    """The answer of a graph."""

    answer: object

    def result(self) -> object:
        """Return it."""
        return self.answer


@dataclass(frozen=True, slots=True)
class GraphRunner:
    """An open graph, timed like an engine; `feeds` are its inputs besides the frames."""

    run: Run
    feeds: Mapping[str, Any]
    depth: int = 1

    def submit(self, frames: Frames, /) -> Ran:
        """Run the graph."""
        return Ran(self.run({"frames": frames, **self.feeds}))


def open_with(backend: str) -> Open:
    """Return what compiles any graph for a CPU backend in float32."""
    if backend == "openvino":
        from engines.ov import open_graph as open_openvino

        return open_openvino
    from engines.ort import open_graph

    return open_graph


def measure_cam(model: Model, backend: str, turns: Turns) -> dict[str, Any]:
    """Return what a run costs beside the same graph with only logits and probs."""
    opened = open_with(backend)
    graphs = [model.data, keep_outputs(model.data, ("logits", "probs"))]
    runners = [GraphRunner(opened(fix_batch(data)), {}) for data in graphs]
    frames = draw_noise(model.spec.input_wh, 1)
    whole, plain = take_turns([(runner, frames) for runner in runners], turns)
    return {
        "backend": backend,
        "precision": model.spec.precision,
        "whole_ms": whole.describe()["p50_ms"],
        "plain_ms": plain.describe()["p50_ms"],
        **whole.time_over(plain),
    }


def measure_explain(model: Model, backend: str, turns: Turns) -> list[dict[str, Any]]:
    """Return what a gradient and integrated gradients cost beside a plain run."""
    opened = open_with(backend)
    gradient = keep_outputs(explain_graph(model, 0), ("logits", "gradient"))
    graphs = {"gradient": gradient, f"ig, {STEPS} steps": explain_graph(model)}
    seed = {"seed": np.eye(1, len(model.spec.classes), dtype=np.float32)}
    runners = [GraphRunner(opened(fix_batch(data)), seed) for data in graphs.values()]
    runners.append(GraphRunner(opened(fix_batch(model.data)), {}))
    frames = draw_noise(model.spec.input_wh, 1)
    *timings, plain = take_turns([(runner, frames) for runner in runners], turns)
    return [
        {
            "backend": backend,
            "what": what,
            "ms": timing.describe()["p50_ms"],
            "plain_ms": plain.describe()["p50_ms"],
            **timing.time_over(plain),
        }
        for what, timing in zip(graphs, timings, strict=True)
    ]


def keep_outputs(data: bytes, names: Sequence[str]) -> bytes:
    """Return an ONNX file with these outputs and what they need."""
    proto = parse_graph(data)
    for value in [value for value in proto.graph.output if value.name not in names]:
        proto.graph.output.remove(value)
    drop_unused(proto)
    return bytes(proto.SerializeToString())


def fix_batch(data: bytes) -> bytes:
    """Return an ONNX file that takes one frame, so that no runtime plans for more."""
    proto = parse_graph(data)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return bytes(proto.SerializeToString())
