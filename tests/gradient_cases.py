"""Gradients by torch, and small graphs beside the torch functions that they are.

The graphs go from `planes` in 0..1 to `cells`.
"""

import numpy as np
import torch
from onnx import helper
from torch.nn import functional

from engines import ort
from engines.explain import explain_graph

node = helper.make_node
GROUPED = np.random.default_rng(1).normal(size=(6, 1, 3, 3)).astype(np.float32)
MIXED = np.random.default_rng(2).normal(size=(4, 3, 3, 2)).astype(np.float32)
NORM = np.array([[0.5, 2, 1], [0, 1, 2], [0.1, 0.2, 0.3], [1, 4, 0.25]], np.float32)
SCALES = np.float32([1, 1, 2, 2])


def explain(model, frames, seed, open_graph=ort.open_graph):
    run = open_graph(explain_graph(model))
    return run({"frames": frames, "seed": np.asarray(seed, np.float32)})


def as_planes(frames):
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float()


def as_frames(planes):
    return planes.detach().permute(0, 2, 3, 1).numpy()


def relative(found, wanted):
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def gradient_of(network, frames, index=1):
    planes = as_planes(frames).requires_grad_()
    return as_frames(torch.autograd.grad(network(planes)[:, index].sum(), planes)[0])


def conv(weights, **attributes):
    return [node("Conv", ["planes", "w"], ["cells"], **attributes)], {"w": weights}


def pool(kind, kernel, stride, **attributes):
    size = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
    return [node(kind, ["planes"], ["cells"], **size, **attributes)], {}


def shifted(*nodes, **constants):
    """Stretch planes in 0..1 to -4..4 and apply nodes from `wide` to `cells`."""
    stretch = [node("Mul", ["planes", "eight"], ["m"]), node("Sub", ["m", "four"], ["wide"])]
    return [*stretch, *nodes], {"eight": np.float32(8), "four": np.float32(4), **constants}


def wide(x):
    return x * 8 - 4


OPERATORS = {
    "grouped convolution with a stride": (
        conv(GROUPED, group=3, strides=[2, 2], pads=[1, 1, 0, 1]),
        lambda x: functional.conv2d(
            functional.pad(x, (1, 1, 1, 0)), torch.from_numpy(GROUPED), None, 2, groups=3
        ),
    ),
    "dilated convolution": (
        conv(MIXED, dilations=[2, 1], pads=[2, 0, 2, 1]),
        lambda x: functional.conv2d(
            functional.pad(x, (0, 1, 2, 2)), torch.from_numpy(MIXED), dilation=(2, 1)
        ),
    ),
    "overlapping maximum": (
        pool("MaxPool", 3, 2, pads=[1, 1, 1, 1]),
        lambda x: functional.max_pool2d(x, 3, 2, 1),
    ),
    "maximum of tiles": (pool("MaxPool", 2, 2), lambda x: functional.max_pool2d(x, 2)),
    "maximum that leaves a rest": (pool("MaxPool", 3, 3), lambda x: functional.max_pool2d(x, 3)),
    "mean with padding": (
        pool("AveragePool", 3, 1, pads=[1, 1, 1, 1], count_include_pad=1),
        lambda x: functional.avg_pool2d(x, 3, 1, 1),
    ),
    "mean beyond the border": (
        pool("AveragePool", 3, 2, ceil_mode=1),
        lambda x: functional.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False),
    ),
    "relu": (shifted(node("Relu", ["wide"], ["cells"])), lambda x: wide(x).relu()),
    "clip": (
        shifted(node("Clip", ["wide", "a", "b"], ["cells"]), a=np.float32(-1), b=np.float32(2)),
        lambda x: wide(x).clamp(-1, 2),
    ),
    "hard swish": (
        shifted(node("HardSwish", ["wide"], ["cells"])),
        lambda x: functional.hardswish(wide(x)),
    ),
    "hard sigmoid": (
        shifted(node("HardSigmoid", ["wide"], ["cells"], alpha=1 / 6, beta=0.5)),
        lambda x: functional.hardsigmoid(wide(x)),
    ),
    "swish": (
        shifted(node("Sigmoid", ["wide"], ["s"]), node("Mul", ["wide", "s"], ["cells"])),
        lambda x: functional.silu(wide(x)),
    ),
    "root": (
        shifted(node("Pow", ["wide", "p"], ["s"]), node("Sqrt", ["s"], ["cells"]), p=np.float32(4)),
        lambda x: (wide(x) ** 4).sqrt(),
    ),
    "quotient of a mean": (
        (
            [
                node("GlobalAveragePool", ["planes"], ["g"]),
                node("Identity", ["g"], ["h"]),
                node("Div", ["planes", "h"], ["cells"]),
            ],
            {},
        ),
        lambda x: x / x.mean((2, 3), keepdim=True),
    ),
    "sum subtracted": (
        (
            [
                node("ReduceSum", ["planes", "one"], ["g"], keepdims=0),
                node("Unsqueeze", ["g", "one"], ["h"]),
                node("Sub", ["planes", "h"], ["cells"]),
            ],
            {"one": np.int64([1])},
        ),
        lambda x: x - x.sum(1, keepdim=True),
    ),
    "batch norm": (
        (
            [node("BatchNormalization", ["planes", *"abcd"], ["cells"])],
            dict(zip("abcd", NORM, strict=True)),
        ),
        lambda x: functional.batch_norm(x, *map(torch.from_numpy, NORM[[2, 3, 0, 1]])),
    ),
    "layer norm": (
        (
            [
                node("Transpose", ["planes"], ["t"], perm=[0, 2, 3, 1]),
                node("LayerNormalization", ["t", "a", "b"], ["n"], epsilon=1e-3),
                node("Transpose", ["n"], ["cells"], perm=[0, 3, 1, 2]),
            ],
            {"a": NORM[0], "b": NORM[1]},
        ),
        lambda x: functional.layer_norm(
            x.permute(0, 2, 3, 1), (3,), *map(torch.from_numpy, NORM[:2]), 1e-3
        ).permute(0, 3, 1, 2),
    ),
    "enlarged and joined": (
        (
            [
                node("MaxPool", ["planes"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                node(
                    "Resize",
                    ["p", "", "s"],
                    ["r"],
                    coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor",
                ),
                node("Concat", ["r", "planes"], ["cells"], axis=1),
            ],
            {"s": SCALES},
        ),
        lambda x: torch.cat(
            [functional.interpolate(functional.max_pool2d(x, 2), scale_factor=2.0), x], 1
        ),
    ),
}
