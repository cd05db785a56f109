"""Turns frames and predictions into journal rows; keeps ledger and tracker in step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.spec import ModelSpec
from stream.analysis.topk import RankedFrame
from stream.analysis.track import Tracked, Tracker
from stream.config import AnalysisConfig
from stream.frame import Frame, FrameId, Prediction
from stream.session.journal import EventRow, FrameRow, Journal, RankedRow
from stream.session.ledger import Ledger


class Recorder:
    """Accounts for every frame in a journal.

    Parameters
    ----------
    journal : open for writing
    spec, config : as for `Tracker`
    """

    def __init__(self, journal: Journal, spec: ModelSpec, config: AnalysisConfig) -> None:
        self._journal = journal
        self.tracker = Tracker(spec, config)
        self.ledger = Ledger()
        self._epoch = 0

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Take the next frame in order."""
        tracked = self.tracker.update(frame, prediction)
        self.ledger.add(prediction.state)
        self._journal.add_frame(_frame_row(frame, prediction, tracked))
        self._note(frame, tracked)

    def seal(self) -> None:
        """Write key frames and ledger."""
        with ThreadPoolExecutor() as pool:  # most of the time is spent in PNG encoding
            rows = list(pool.map(_ranked_row, self.tracker.ranked()))
        self._journal.seal(rows, self.ledger.totals())

    def _note(self, frame: Frame, tracked: Tracked) -> None:
        if frame.id.epoch != self._epoch:
            self._epoch = frame.id.epoch
            height, width = frame.pixels.shape_hw
            self._event(frame, "format_changed", f"pictures are {width} x {height} from here on")
        if tracked.jumped:
            self._event(frame, "discontinuity", "the source's time went back or leapt here")
        if tracked.kept is not None:
            gone = tracked.kept.displaced
            self._event(frame, "kept", f"displaced {_short(gone)}" if gone else "into a free place")

    def _event(self, frame: Frame, kind: str, text: str) -> None:
        self._journal.add_event(EventRow(frame.id.epoch, frame.id.seq, kind, text))


def _frame_row(frame: Frame, prediction: Prediction, tracked: Tracked) -> FrameRow:
    smoothed = tracked.smoothed
    return FrameRow(
        epoch=frame.id.epoch,
        seq=frame.id.seq,
        pts_ns=frame.pts_ns,
        time_ns=tracked.time_ns,
        state=prediction.state,
        reason=prediction.reason,
        probs=_json_list(prediction.probs) if prediction.probs is not None else None,
        smoothed=_json_list(smoothed.probs) if smoothed else None,
        label=smoothed.label if smoothed else "",
        distance=prediction.distance,
        captured_ns=frame.captured_ns,
        preprocess_ns=prediction.times.preprocess_ns,
        engine_ns=prediction.times.engine_ns,
    )


def _ranked_row(kept: RankedFrame) -> RankedRow:
    cam = kept.prediction.cam
    assert cam is not None
    return RankedRow(
        rank=kept.rank,
        epoch=kept.frame.id.epoch,
        seq=kept.frame.id.seq,
        time_ns=kept.time_ns,
        score=kept.score,
        score_parts=msgspec.json.encode(dict(kept.score_parts)).decode(),
        displaced=_short(kept.displaced) if kept.displaced else None,
        image_png=_encode_png(kept.frame.image),
        cam_shape=msgspec.json.encode(cam.shape).decode(),
        cam=cam.astype("<f4").tobytes(),
    )


def _json_list(values: NDArray[np.float32]) -> str:
    return msgspec.json.encode(values.tolist()).decode()


def _short(frame: FrameId) -> str:
    return f"{frame.epoch}:{frame.seq}"


def _encode_png(image: NDArray[np.uint8]) -> bytes:
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", bgr)
    assert done, "OpenCV encodes every uint8 picture"
    return data.tobytes()
