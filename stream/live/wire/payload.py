"""Pictures, arrays and JPEGs into and out of the payload of a message."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.frame import Frame
from stream.live.wire.checks import FLOAT_BYTES, array_shapes, split_arrays
from stream.live.wire.codec import Received
from stream.live.wire.messages import (
    ArrayShape,
    FrameHeader,
    Pin,
    PixelLayout,
    Ranking,
    ResultHeader,
)
from stream.sources.ring import split

Floats = NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """The arrays of one result, each of them or None; see `stream.live.wire.messages.ResultHeader`.

    Parameters
    ----------
    probs, smoothed : shape (C,), float32
    cam : shape (C, h, w), float32
    features : shape (D,), float32
    """

    probs: Floats | None = None
    smoothed: Floats | None = None
    cam: Floats | None = None
    features: Floats | None = None


def layout_of(pixels: Pixels) -> PixelLayout:
    """Return how the planes of a picture lie in a message or in shared memory."""
    shapes = tuple(plane.shape for plane in pixels.planes)
    return PixelLayout(shapes=shapes, matrix=pixels.matrix, full_range=pixels.full_range)


def pin_of(frame: Frame, host: str) -> Pin:
    """Return the header that asks to keep a frame; its planes follow.

    Parameters
    ----------
    host : `stream.clock.host_id` of this machine
    """
    return Pin(
        session=frame.id.session,
        epoch=frame.id.epoch,
        seq=frame.id.seq,
        host=host,
        captured_ns=frame.captured_ns,
        pts_ns=None,
        pixels=layout_of(frame.pixels),
    )


def shape_of(array: Floats | None) -> ArrayShape | None:
    """Return what a `ResultHeader` says about an array."""
    return None if array is None else tuple(array.shape)


def result_payload(arrays: Arrays, pixels: Pixels | None = None) -> list[NDArray[Any]]:
    """Return what follows a `ResultHeader`, in its order."""
    named = (arrays.probs, arrays.smoothed, arrays.cam, arrays.features)
    planes = pixels.planes if pixels else ()
    return [array.astype(np.float32, copy=False) for array in named if array is not None] + [
        *planes
    ]


def read_arrays(received: Received) -> Arrays:
    """Return the arrays of a result, read-only.

    They are copied: they start at any byte of the message, where some libraries cannot read
    floats, and whoever keeps them should not keep the pixels of the message.

    Raises
    ------
    ValueError
        If the message is no result.
    """
    if not isinstance(received.message, ResultHeader):
        raise ValueError(f"{type(received.message).__name__} has no arrays")
    found = split_arrays(received.message, received.payload)
    return Arrays(**{name: _frozen(array.astype(np.float32)) for name, array in found.items()})


def read_pixels(received: Received) -> Pixels | None:
    """Return the picture in a message as views of it, read-only; None when there is none.

    The picture keeps the whole message alive.

    Raises
    ------
    ValueError
        If the message is neither a frame nor a result.
    """
    message = received.message
    if isinstance(message, FrameHeader):
        return picture(received.payload, message.pixels) if message.slot is None else None
    if isinstance(message, Pin):
        return picture(received.payload, message.pixels)
    if not isinstance(message, ResultHeader):
        raise ValueError(f"{type(message).__name__} has no pixels")
    if message.pixels is None:
        return None
    floats = sum(math.prod(shape) for _, shape in array_shapes(message))
    return picture(received.payload[floats * FLOAT_BYTES :], message.pixels)


def read_jpegs(received: Received) -> list[memoryview]:
    """Return the JPEGs of a ranking in the order of its keys, as views of the message.

    Raises
    ------
    ValueError
        If the message is no ranking.
    """
    if not isinstance(received.message, Ranking):
        raise ValueError(f"{type(received.message).__name__} has no JPEGs")
    views, start = [], 0
    for key in received.message.keys:
        views.append(received.payload[start : start + key.jpeg_bytes])
        start += key.jpeg_bytes
    return views


def picture(data: memoryview | NDArray[np.uint8], layout: PixelLayout) -> Pixels:
    """Return the planes that lie one after the other at the start of `data`, read-only."""
    root = _frozen(np.frombuffer(data, np.uint8, layout.nbytes))
    return Pixels(tuple(split(root, layout.shapes)), layout.matrix, layout.full_range)


def _frozen(array: NDArray[Number]) -> NDArray[Number]:
    array.setflags(write=False)
    return array
