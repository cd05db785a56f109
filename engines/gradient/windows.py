"""Gradients of convolutions and pooling: windows that slide over a map."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engines.gradient.pointwise import Rule
from engines.gradient.tape import Tape
from engines.graph_index import attribute

if TYPE_CHECKING:
    import onnx

LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True, slots=True)
class Window:
    """How a window slides over a map, height before width.

    Parameters
    ----------
    kernel, strides, dilations, before : of the window; `before` is the padding at the top left
    read_hw, made_hw : size of the map that is read and of the one that is made
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    read_hw: tuple[int, ...]
    made_hw: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Distance from the first to the last cell of a window."""
        return tuple(d * (k - 1) for d, k in zip(self.dilations, self.kernel, strict=True))

    @property
    def after(self) -> tuple[int, ...]:
        """Cells that the last window needs beyond the map; negative where some are not read."""
        return tuple(
            (made - 1) * stride + reach + 1 - read - before
            for made, stride, reach, read, before in zip(
                self.made_hw, self.strides, self.reach, self.read_hw, self.before, strict=True
            )
        )

    @property
    def tiles(self) -> bool:
        """Whether each cell that is read lies in one window, with no padding."""
        return (
            self.kernel == self.strides
            and set(self.dilations) == {1}
            and not any(self.before)
            and max(self.after) <= 0
        )


def read_window(tape: Tape, node: onnx.NodeProto, kernel: tuple[int, ...]) -> Window:
    """Return the window of a convolution or pooling node over maps (N, K, h, w)."""
    read, made = tape.shape(node.input[0])[2:], tape.shape(node.output[0])[2:]
    if attribute(node, "auto_pad", "NOTSET") != "NOTSET" or len(kernel) != 2 or None in read + made:
        raise tape.refuse(node, "is not a window over a map of fixed size with explicit padding")
    ones = [1, 1]
    return Window(
        kernel,
        tuple(attribute(node, "strides", ones)),
        tuple(attribute(node, "dilations", ones)),
        tuple(attribute(node, "pads", [0, 0, 0, 0])[:2]),
        tuple(size for size in read if size is not None),
        tuple(size for size in made if size is not None),
    )


def spread_windows(
    tape: Tape, gradient: str, weights: NDArray[np.float32], window: Window, group: int
) -> str:
    """Return the gradient of the map that a convolution with `weights` (O, I / group, h, w) read.

    With a stride of 1 it is a convolution with the weights turned round, which runs faster than a
    transposed one.
    """
    before = [reach - pad for reach, pad in zip(window.reach, window.before, strict=True)]
    after = [reach - pad for reach, pad in zip(window.reach, window.after, strict=True)]
    common = {"dilations": list(window.dilations), "group": group}
    if set(window.strides) == {1} and min(before + after) >= 0:
        turned = tape.constant(_turn(weights, group))
        return tape("Conv", gradient, turned, pads=[*before, *after], **common)
    pads = [*window.before, *(max(pad, 0) for pad in window.after)]
    return tape(
        "ConvTranspose",
        gradient,
        tape.constant(weights),
        strides=list(window.strides),
        pads=pads,
        output_padding=[max(-pad, 0) for pad in window.after],
        **common,
    )


def _turn(weights: NDArray[np.float32], group: int) -> NDArray[np.float32]:
    """Return weights (I, O / group, h, w) of the convolution back, from (O, I / group, h, w)."""
    outputs, inputs, *size = weights.shape
    apart = weights.reshape(group, outputs // group, inputs, *size).swapaxes(1, 2)
    return apart.reshape(group * inputs, outputs // group, *size)[..., ::-1, ::-1]


def _conv(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    weights = tape.value(node, 1)
    window = read_window(tape, node, weights.shape[2:])
    return {0: spread_windows(tape, gradient, weights, window, attribute(node, "group", 1))}


def _average_pool(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    window = read_window(tape, node, tuple(attribute(node, "kernel_shape", [1, 1])))
    channels = tape.shape(node.input[0])[1]
    assert channels is not None
    shares = tape("Mul", gradient, tape.constant(1 / _count_cells(node, window)))
    ones = np.ones((channels, 1, *window.kernel), np.float32)
    return {0: spread_windows(tape, shares, ones, window, channels)}


def _count_cells(node: onnx.NodeProto, window: Window) -> NDArray[np.float32]:
    """Return how many cells each window averages, shape (1, 1, h, w)."""
    padded = bool(attribute(node, "count_include_pad", 0))
    pads = attribute(node, "pads", [0, 0, 0, 0]) if padded else [0, 0, 0, 0]
    sides = []
    for axis in range(2):
        first = np.arange(window.made_hw[axis]) * window.strides[axis] - window.before[axis]
        cells = first[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
        inside = (cells >= -pads[axis]) & (cells < window.read_hw[axis] + pads[axis + 2])
        sides.append(inside.sum(1))
    return np.asarray(np.outer(*sides)[None, None], np.float32)


def _max_pool(tape: Tape, node: onnx.NodeProto, gradient: str) -> dict[int, str]:
    """Send each gradient to the first cell of its window that holds the largest value."""
    window = read_window(tape, node, tuple(attribute(node, "kernel_shape", [1, 1])))
    channels = tape.shape(node.input[0])[1]
    assert channels is not None
    cells = _take_cells(tape, node.input[0], window)
    order = np.arange(len(cells), 0, -1, dtype=np.float32).reshape(1, 1, -1, 1, 1)
    axis = tape.numbers(2)
    stacked = tape("Concat", *(tape("Unsqueeze", cell, axis) for cell in cells), axis=2)
    equal = tape("Equal", stacked, tape("Unsqueeze", node.output[0], axis))
    ranks = tape("Mul", tape("Cast", equal, to=1), tape.constant(order))
    first = tape("Equal", ranks, tape("ReduceMax", ranks, axis, keepdims=1))
    sent = tape("Where", first, tape("Unsqueeze", gradient, axis), tape.constant(0.0))
    flat = tape.reshape(sent, (None, channels * len(cells), *window.made_hw))
    if window.tiles and len(set(window.kernel)) == 1:
        wide = tape("DepthToSpace", flat, blocksize=window.kernel[0], mode="CRD")
        missing = [0, 0, 0, 0, 0, 0, *(-pad for pad in window.after)]
        return {0: tape("Pad", wide, tape.numbers(*missing)) if any(missing) else wide}
    one_hot = np.eye(len(cells), dtype=np.float32).reshape(-1, 1, *window.kernel)
    return {0: spread_windows(tape, flat, np.tile(one_hot, (channels, 1, 1, 1)), window, channels)}


def _take_cells(tape: Tape, source: str, window: Window) -> list[str]:
    """Return the first cell of every window as a map, then the second and so on, exactly."""
    after = [max(pad, 0) for pad in window.after]
    if any((*window.before, *after)):
        pads = tape.numbers(0, 0, *window.before, 0, 0, *after)
        source = tape("Pad", source, pads, tape.constant(LOWEST))
    found = []
    for place in product(*(range(size) for size in window.kernel)):
        start = [cell * step for cell, step in zip(place, window.dilations, strict=True)]
        stop = [
            first + (made - 1) * stride + 1
            for first, made, stride in zip(start, window.made_hw, window.strides, strict=True)
        ]
        bounds = (start, stop, (2, 3), window.strides)
        found.append(tape("Slice", source, *(tape.numbers(*values) for values in bounds)))
    return found


WINDOWS: dict[str, Rule] = {"AveragePool": _average_pool, "Conv": _conv, "MaxPool": _max_pool}
