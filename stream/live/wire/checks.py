"""What a header's types cannot say: that its parts fit together and its numbers are numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import WireError
from stream.live.wire.messages import (
    ARRAYS,
    MAX_CLASSES,
    ArrayShape,
    FrameHeader,
    ModelNote,
    Pin,
    PixelLayout,
    Ranking,
    ResultHeader,
)

FLOAT_BYTES = 4
_AXES = {"probs": 1, "smoothed": 1, "cam": 3, "features": 1}
_ROUNDING = 1e-3
"""How far a probability may lie outside [0, 1]: what float32 sums can do."""


def payload_bytes(message: msgspec.Struct) -> int:
    """Return how many bytes follow a header."""
    if isinstance(message, FrameHeader):
        return message.pixels.nbytes if message.slot is None else 0
    if isinstance(message, Pin):
        return message.pixels.nbytes
    if isinstance(message, ResultHeader):
        floats = sum(math.prod(shape) for _, shape in array_shapes(message))
        return floats * FLOAT_BYTES + (message.pixels.nbytes if message.pixels else 0)
    if isinstance(message, Ranking):
        return sum(key.jpeg_bytes for key in message.keys)
    return 0


def array_shapes(result: ResultHeader) -> list[tuple[str, ArrayShape]]:
    """Return name and shape of the arrays after a result, in their order."""
    named = ((name, getattr(result, name)) for name in ARRAYS)
    return [(name, shape) for name, shape in named if shape is not None]


def check_header(message: msgspec.Struct) -> None:
    """Refuse a header whose parts contradict each other.

    Raises
    ------
    WireError
        With reason "header".
    """
    if isinstance(message, Pin):
        _check_layout(message.pixels)
    elif isinstance(message, FrameHeader):
        _check_layout(message.pixels)
        if message.before >= message.seq:
            raise WireError("header", f"frame {message.seq} comes after {message.before}")
    elif isinstance(message, ResultHeader):
        _check_result(message)
    elif isinstance(message, Ranking):
        _check_finite(x for key in message.keys for x in (key.score, key.probability))
    elif isinstance(message, ModelNote):
        _check_finite(message.used.spec.metrics.values())
        if message.used.spec.gate is not None or len(message.used.spec.classes) > MAX_CLASSES:
            raise WireError("header", f"a model note has no gate, at most {MAX_CLASSES} classes")


def check_values(message: msgspec.Struct, payload: memoryview) -> None:
    """Refuse arrays with NaN or infinity, and probabilities that are none.

    Raises
    ------
    WireError
        With reason "values".
    """
    if not isinstance(message, ResultHeader):
        return
    for name, array in split_arrays(message, payload).items():
        good = bool(np.isfinite(array).all())
        if good and name in ("probs", "smoothed"):
            good = bool(array.min() >= -_ROUNDING and array.max() <= 1 + _ROUNDING)
        if not good:
            raise WireError("values", f"{name} of a result holds what is no number for it")


def split_arrays(result: ResultHeader, payload: memoryview) -> dict[str, NDArray[np.float32]]:
    """Return views of the float32 arrays at the start of a result's payload, by name."""
    arrays, start = {}, 0
    for name, shape in array_shapes(result):
        count = math.prod(shape)
        arrays[name] = np.frombuffer(payload, "<f4", count, start).reshape(shape)
        start += count * FLOAT_BYTES
    return arrays


def _check_layout(layout: PixelLayout) -> None:
    """Refuse what `engines.pixels.Pixels` would refuse, and chroma larger than luma."""
    first, *chroma = layout.shapes
    single = not chroma and (len(first) == 2 or first[2] == 3)
    triple = len(chroma) == 2 and all(len(shape) == 2 for shape in layout.shapes)
    if not (single or (triple and chroma[0] == chroma[1])):
        raise WireError("header", f"planes {layout.shapes}: no grey, RGB or YUV picture")
    if triple and (chroma[0][0] > first[0] or chroma[0][1] > first[1]):
        raise WireError("header", f"planes {layout.shapes}: chroma is larger than luma")


def _check_result(result: ResultHeader) -> None:
    shapes = dict(array_shapes(result))
    if wrong := [name for name, shape in shapes.items() if len(shape) != _AXES[name]]:
        raise WireError("header", f"{wrong[0]} of shape {shapes[wrong[0]]}")
    counts = {shape[0] for name, shape in shapes.items() if name != "features"}
    if len(counts) > 1 or max(counts, default=0) > MAX_CLASSES:
        raise WireError("header", f"a result over {sorted(counts)} classes")
    if result.state == "ok" and "probs" not in shapes:
        raise WireError("header", "a result that is ok has no probabilities")
    if result.distance is not None:
        _check_finite((result.distance,))
    if result.pixels is not None:
        _check_layout(result.pixels)


def _check_finite(numbers: Iterable[float]) -> None:
    if not all(map(math.isfinite, numbers)):
        raise WireError("header", "a number in it is NaN or infinite")
