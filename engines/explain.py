"""Explains a logit by gradients of the pixels, in an ONNX graph made from the model alone.

The graph is the model's own, from pixels to logits, followed by its gradient in reverse mode. It
runs in any engine that runs ONNX, without torch and without the weights' checkpoint.

References
----------
Simonyan et al., "Deep Inside Convolutional Networks", 2013, section 3 (gradient saliency).
Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017, sections 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.gradient.reverse import find_live, write_gradient
from engines.gradient.tape import Tape
from engines.graph_index import index_graph, parse_graph
from engines.graph_rewrite import cast_input_first, drop_unused
from engines.load import Model

if TYPE_CHECKING:
    import onnx

STEPS = 16
GREY = 114.75
"""Baseline, in 0..255: the mean of photographs (0.45), which the backbones normalise to about 0.

Black would not do: the attribution is the difference from the baseline times a gradient, so fluid,
which is what many findings are, would get none.
"""

POINT_LOGITS = "point_logits"

Runner = Callable[[Mapping[str, NDArray[np.generic]]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Which pixels speak for a weighted sum of the logits, for N frames, float32.

    Parameters
    ----------
    logits : shape (N, C)
    gradient : shape (N, h, w, 3), logit per unit of the pixel's 0..255
    ig : shape (N, h, w, 3), integrated gradients; they sum to the logit less that of the baseline
    """

    logits: NDArray[np.float32]
    gradient: NDArray[np.float32]
    ig: NDArray[np.float32]


class Explainer:
    """A model's explanations by one runtime.

    Parameters
    ----------
    model : verified float32 model
    open_graph : compiles an ONNX file and returns what runs it, such as `engines.ort.open_graph`
    steps : as in `explain_graph`

    Raises
    ------
    EngineError
        As `explain_graph`.
    """

    def __init__(
        self, model: Model, open_graph: Callable[[bytes], Runner], steps: int = STEPS
    ) -> None:
        self._classes = len(model.spec.classes)
        self._run = open_graph(explain_graph(model, steps))

    def explain(self, frames: NDArray[np.uint8], index: int) -> Explanation:
        """Explain the logit of class `index` against the mean of the other logits.

        With two classes that is the log-odds, whichever way the network divides it between its
        logits; a single logit says nothing, since a constant added to all changes no probability.

        Parameters
        ----------
        frames : shape (N, h, w, 3), uint8 RGB, as the model takes them
        """
        weights = np.full(self._classes, -1 / (self._classes - 1), np.float32)
        weights[index] = 1.0
        return self.weigh(frames, np.tile(weights, (len(frames), 1)))

    def weigh(self, frames: NDArray[np.uint8], seed: NDArray[np.float32]) -> Explanation:
        """Explain the sum of the logits weighted by `seed` of shape (N, C)."""
        found = [
            self._run({"frames": frames[place : place + 1], "seed": seed[place : place + 1]})
            for place in range(len(frames))
        ]
        parts = [np.concatenate([f[name] for f in found]) for name in ("logits", "gradient", "ig")]
        return Explanation(*parts)


def saliency_of(ig: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each pixel matters, shape (h, w): the sum of |ig| (h, w, 3) over colours."""
    return np.asarray(np.abs(ig).sum(axis=-1))


def explain_graph(model: Model, steps: int = STEPS, baseline: float = GREY) -> bytes:
    """Return an ONNX file that explains the model's logits.

    Inputs are `frames` (N, h, w, 3) uint8 and `seed` (N, C) float32, the weights of the logits in
    the sum that is explained. Outputs, all float32, are `logits` (N, C); `gradient` (N, h, w, 3),
    of that sum by the pixels; and `ig` (N, h, w, 3), integrated gradients from a uniform
    `baseline` by the midpoint rule over `steps` points, which run as one batch with the frame.

    Raises
    ------
    EngineError
        If the model is not float32 or holds an operator whose gradient is not known.
    """
    if model.spec.precision != "fp32":
        problem = f"is {model.spec.precision}: its rounding has no gradient"
        raise EngineError(model.name, problem, "explain the float32 model that it stands in for")
    proto = parse_graph(model.data)
    cast_input_first(proto)
    _keep_logits(proto)
    index = index_graph(proto)
    cast, *nodes = proto.graph.node
    pixels = cast.output[0]
    tape = Tape(model.name, index, find_live(nodes, index, pixels))
    plan = _Plan(tape, steps, baseline, model.spec.input_wh, len(model.spec.classes))
    difference, seed = plan.write_points(pixels), plan.write_seed()
    before = len(tape.nodes)
    gradient = write_gradient(tape, nodes, {POINT_LOGITS: seed}, pixels)
    plan.write_outputs(gradient, difference)
    return _assemble(proto, [*tape.nodes[:before], *nodes, *tape.nodes[before:]], tape, plan)


def _keep_logits(proto: onnx.ModelProto) -> None:
    """Leave only what makes the logits, under the name for those of all points."""
    kept = next(value for value in proto.graph.output if value.name == "logits")
    kept.name = POINT_LOGITS
    only = type(kept).FromString(kept.SerializeToString())
    del proto.graph.output[:]
    proto.graph.output.append(only)
    for node in proto.graph.node:
        for place, name in enumerate(node.output):
            if name == "logits":
                node.output[place] = POINT_LOGITS
    drop_unused(proto)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Writes what comes before and after the model: each frame at several points of its path."""

    tape: Tape
    steps: int
    baseline: float
    size_wh: tuple[int, int]
    classes: int

    @property
    def frame(self) -> tuple[int, int, int]:
        """Shape of a frame."""
        return (self.size_wh[1], self.size_wh[0], 3)

    @property
    def places(self) -> list[float]:
        """Where the points lie from the baseline (0) to the frame (1), which is first."""
        return [1.0, *((step + 0.5) / self.steps for step in range(self.steps))]

    def write_points(self, pixels: str) -> str:
        """Write the points as a batch called `pixels`; return frame less baseline."""
        tape = self.tape
        start = tape.constant(self.baseline)
        difference = tape("Sub", tape("Cast", "frames", to=1), start)
        places = tape.constant(np.reshape(self.places, (1, -1, 1, 1, 1)))
        moved = tape("Mul", tape("Unsqueeze", difference, tape.numbers(1)), places)
        tape.reshape(tape("Add", moved, start), (None, *self.frame))
        tape.nodes[-1].output[0] = pixels
        return difference

    def write_seed(self) -> str:
        """Write the weights of the logits for every point and return their name."""
        tape = self.tape
        apart = tape("Unsqueeze", "seed", tape.numbers(1))
        each = tape.spread(apart, (None, len(self.places), self.classes))
        return tape.reshape(each, (None, self.classes))

    def write_outputs(self, gradient: str, difference: str) -> None:
        """Write the outputs from the logits and gradients of all points."""
        self._first(POINT_LOGITS, (self.classes,), "logits")
        self._first(gradient, self.frame, "gradient")
        along = self._part(gradient, self.frame, 1, len(self.places))
        mean = self.tape("ReduceMean", along, self.tape.numbers(1), keepdims=0)
        self.tape("Mul", mean, difference)
        self.tape.nodes[-1].output[0] = "ig"

    def _part(self, values: str, shape: tuple[int, ...], start: int, stop: int) -> str:
        tape = self.tape
        apart = tape.reshape(values, (None, len(self.places), *shape))
        return tape("Slice", apart, tape.numbers(start), tape.numbers(stop), tape.numbers(1))

    def _first(self, values: str, shape: tuple[int, ...], name: str) -> None:
        self.tape.reshape(self._part(values, shape, 0, 1), (None, *shape))
        self.tape.nodes[-1].output[0] = name


def _assemble(
    proto: onnx.ModelProto, nodes: list[onnx.NodeProto], tape: Tape, plan: _Plan
) -> bytes:
    from onnx import TensorProto, helper

    frame: list[str | int] = ["N", *plan.frame]
    row: list[str | int] = ["N", plan.classes]
    values = {"logits": row, "gradient": frame, "ig": frame}
    graph = helper.make_graph(
        nodes,
        "explain",
        [
            helper.make_tensor_value_info("frames", TensorProto.UINT8, frame),
            helper.make_tensor_value_info("seed", TensorProto.FLOAT, row),
        ],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in values.items()],
        [*proto.graph.initializer, *tape.constants],
    )
    made = helper.make_model(
        graph, opset_imports=list(proto.opset_import), ir_version=proto.ir_version
    )
    drop_unused(made)
    data: bytes = made.SerializeToString(deterministic=True)
    return data
