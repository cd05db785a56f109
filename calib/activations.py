"""Histograms of a network's inner tensors over calibration frames, from one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from calib.observers import Histogram
from engines.cpu import count_cores
from engines.graph_index import parse_graph
from engines.load import Model
from engines.ort import CPU, open_session, session_options


def collect_histograms(
    model: Model,
    tensors: Sequence[str],
    frames: NDArray[np.uint8],
    on_frame: Callable[[int], None],
) -> dict[str, Histogram]:
    """Run the float32 model over frames and count the values of some of its tensors.

    One frame at a time, so memory holds the tensors of one frame.

    Parameters
    ----------
    tensors : names, each of the output of a node
    frames : shape (N, h, w, 3), uint8 RGB
    on_frame : called with N after each frame
    """
    settings = session_options(count_cores())
    session = open_session(model, _reveal(model, tensors), settings, [CPU])
    found = {name: Histogram() for name in tensors}
    for frame in frames:
        values = session.run(list(tensors), {"frames": frame[None]})
        for name, value in zip(tensors, values, strict=True):
            found[name].add(value)
        on_frame(len(frames))
    return found


def _reveal(model: Model, tensors: Sequence[str]) -> bytes:
    """Return the graph with inner tensors among its outputs."""
    proto = parse_graph(model.data)
    for name in tensors:
        proto.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return bytes(proto.SerializeToString())
