"""Between a prediction and the message that carries it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.pixels import Pixels
from stream.analysis.smooth import Smoothed
from stream.frame import Frame, Prediction, StageTimes
from stream.live.wire.codec import Received
from stream.live.wire.messages import FrameHeader, ResultHeader
from stream.live.wire.payload import (
    Arrays,
    layout_of,
    read_arrays,
    read_pixels,
    result_payload,
    shape_of,
)


class Answered(NamedTuple):
    """By whom a result was made: worker, its how many-th, engine in words, when it was ready."""

    worker: int
    number: int
    engine: str
    done_ns: int


class Result(NamedTuple):
    """A result as it was received.

    Parameters
    ----------
    header : of the message
    prediction : as the worker had it
    smoothed : shape (C,), or None where the frame was not believed
    pixels : of the frame, when it entered the worker's top k
    """

    header: ResultHeader
    prediction: Prediction
    smoothed: NDArray[np.float32] | None
    pixels: Pixels | None

    def frame(self, pixels: Pixels) -> Frame:
        """Return the frame that was analysed, its time that of capture as everywhere live."""
        captured_ns = self.header.captured_ns
        return Frame(self.header.id, pixels, captured_ns, captured_ns, "")


def encode_result(
    header: FrameHeader,
    prediction: Prediction,
    smoothed: Smoothed | None,
    answered: Answered,
    kept: Pixels | None,
) -> tuple[ResultHeader, list[NDArray[Any]]]:
    """Return header and payload of a result; `kept` are the frame's pixels if they travel too."""
    arrays = Arrays(
        prediction.probs,
        smoothed.probs if smoothed else None,
        prediction.cam,
        prediction.features,
    )
    message = ResultHeader(
        session=header.session,
        epoch=header.epoch,
        seq=header.seq,
        host=header.host,
        captured_ns=header.captured_ns,
        pts_ns=header.pts_ns,
        worker=answered.worker,
        number=answered.number,
        state=prediction.state,
        reason=prediction.reason[:300],
        label=smoothed.label if smoothed else "",
        distance=prediction.distance,
        preprocess_ns=prediction.times.preprocess_ns,
        engine_ns=prediction.times.engine_ns,
        done_ns=answered.done_ns,
        model_digest=prediction.model_digest,
        engine=answered.engine,
        probs=shape_of(arrays.probs),
        smoothed=shape_of(arrays.smoothed),
        cam=shape_of(arrays.cam),
        features=shape_of(arrays.features),
        pixels=layout_of(kept) if kept else None,
    )
    return message, result_payload(arrays, kept)


def failed_prediction(frame: Frame, error: EngineError, digest: str) -> Prediction:
    """Return what stands for the answer of an engine that failed; `digest` is its model's."""
    return Prediction(
        id=frame.id,
        state="failed_infer",
        reason=str(error),
        probs=None,
        cam=None,
        features=None,
        distance=None,
        times=StageTimes(0, 0),
        model_digest=digest,
    )


def taken_back(result: Result, reason: str) -> Result:
    """Return a result without its answer, which was withdrawn (F07)."""
    header = msgspec.structs.replace(
        result.header, state="withdrawn", reason=reason, label="", distance=None
    )
    prediction = replace(
        result.prediction,
        state="withdrawn",
        reason=reason,
        probs=None,
        cam=None,
        features=None,
        distance=None,
    )
    return Result(header, prediction, None, None)


def decode_result(received: Received) -> Result:
    """Return a result from its message, which was checked when it was received."""
    header = received.message
    assert isinstance(header, ResultHeader), "the caller looks at the kind"
    arrays = read_arrays(received)
    prediction = Prediction(
        id=header.id,
        state=header.state,
        reason=header.reason,
        probs=arrays.probs,
        cam=arrays.cam,
        features=arrays.features,
        distance=header.distance,
        times=StageTimes(header.preprocess_ns, header.engine_ns),
        model_digest=header.model_digest,
    )
    return Result(header, prediction, arrays.smoothed, read_pixels(received))
