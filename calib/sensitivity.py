"""Which layers lose most by int8: each is quantised alone, all others stay float.

Quantising one at a time is cheaper than freeing one at a time: a float graph with one int8 layer
runs faster in ONNX Runtime than an int8 graph with one float layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calib.quantize import Calibration, find_layers, quantize
from engines.base import run_frames
from engines.graph_index import parse_graph
from engines.load import Model
from engines.open import open_engine
from engines.options import DEFAULT

MOST_SNR_DB = 150.0


def rank_layers(
    model: Model,
    scales: Mapping[str, float],
    frames: NDArray[np.uint8],
    on_layer: Callable[[int], None],
) -> dict[str, float]:
    """Return for each layer how well the logits stand its quantisation, the worst layer first.

    Parameters
    ----------
    model : float32, as `calib.center` prepares it
    scales : step of every tensor that a convolution reads
    frames : shape (N, h, w, 3), uint8 RGB, N >= 2
    on_layer : called with the number of layers after each

    Returns
    -------
    spread of the logits over frames to that of their error, in dB; constant errors do not
    count, since biases take them up
    """
    names = [layer.name for layer in find_layers(parse_graph(model.data).graph)]
    wanted = _logits(model, frames)
    found = {}
    for name in names:
        others = tuple(other for other in names if other != name)
        alone = quantize(model, scales, Calibration("alone", "", others))
        found[name] = spread_snr_db(wanted, _logits(alone, frames))
        on_layer(len(names))
    return dict(sorted(found.items(), key=lambda item: item[1]))


def spread_snr_db(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the variance of logits (N, C) over frames to that of their error, in dB."""
    signal = np.var(wanted.astype(np.float64), axis=0).sum()
    noise = np.var(found.astype(np.float64) - wanted, axis=0).sum()
    if noise <= signal * 10 ** (-MOST_SNR_DB / 10):
        return MOST_SNR_DB
    return float(10 * np.log10(max(signal, np.finfo(float).tiny) / noise))


def _logits(model: Model, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    options = replace(DEFAULT, precision=model.spec.precision)
    engine = open_engine(model, "onnxruntime", options)
    try:
        return run_frames(engine, frames).logits
    finally:
        engine.close()
