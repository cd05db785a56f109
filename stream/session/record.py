"""Turns frames and predictions into journal rows; keeps ledger and tracker in step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.preprocess import to_model_input
from engines.spec import ModelSpec
from stream.analysis.topk import RankedFrame
from stream.analysis.track import Tracked, Tracker
from stream.config import AnalysisConfig
from stream.frame import Frame, FrameId, Prediction, State
from stream.png import encode_png
from stream.session.journal import EventRow, FrameRow, Journal, RankedRow
from stream.session.ledger import Ledger

Explain = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a model input (h, w, 3), uint8, to what each pixel added to the finding, (h, w)."""


class Recorder:
    """Accounts for every frame in a journal.

    Parameters
    ----------
    journal : open for writing
    spec, config : as for `Tracker`
    """

    def __init__(self, journal: Journal, spec: ModelSpec, config: AnalysisConfig) -> None:
        self._journal, self._spec = journal, spec
        self.tracker = Tracker(spec, config)
        self.ledger = Ledger()
        self._epoch = 0
        self._last: FrameId | None = None
        self.confirm()

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Take the next frame in order."""
        tracked = self.tracker.update(frame, prediction)
        self.ledger.add(prediction.state)
        self._journal.add_frame(_frame_row(frame, prediction, tracked))
        self._note(frame, tracked)
        self._last = frame.id
        self._since["withdrawn" if prediction.probs is not None else prediction.state] += 1

    def confirm(self) -> None:
        """Remember this point: the engine has just given the known answer."""
        self._good = deepcopy((self.tracker, self.ledger)), self._last
        self._since: Counter[State] = Counter()

    def withdraw(self, reason: str) -> int:
        """Take back every answer since the last `confirm` and return how many there were.

        The frames stay in the journal as withdrawn; key frames, labels and verdict are those of
        before.
        """
        (self.tracker, self.ledger), after = self._good
        if self._last is not None:
            self._journal.withdraw(after.seq + 1 if after else 0, self._last.seq, reason)
        for state, count in self._since.items():
            self.ledger.add(state, count)
        self.tracker.lose(self._since.total())
        withdrawn = self._since["withdrawn"]
        if self._last is not None:
            text = f"{withdrawn} answers taken back: {reason}"
            self._journal.add_event(EventRow(self._last.epoch, self._last.seq, "withdrawn", text))
        self.confirm()
        return withdrawn

    def seal(self, explain: Explain | None = None) -> None:
        """Write key frames, explained where that was asked for, and ledger."""
        ranked = self.tracker.ranked()
        with ThreadPoolExecutor() as pool:  # most of the time is spent in PNG encoding
            rows = list(pool.map(ranked_row, ranked))
        if explain:
            rows = [
                row._replace(explained=self._explained(kept.frame, explain))
                for row, kept in zip(rows, ranked, strict=True)
            ]
        self._journal.seal(rows, self.ledger.totals())

    def _explained(self, frame: Frame, explain: Explain) -> bytes:
        spec = self._spec
        model_input = to_model_input(frame.pixels, spec.input_wh, spec.fit)
        return explain(model_input).astype("<f4").tobytes()

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
        probs=json_list(prediction.probs) if prediction.probs is not None else None,
        smoothed=json_list(smoothed.probs) if smoothed else None,
        label=smoothed.label if smoothed else "",
        distance=prediction.distance,
        captured_ns=frame.captured_ns,
        preprocess_ns=prediction.times.preprocess_ns,
        engine_ns=prediction.times.engine_ns,
    )


def ranked_row(kept: RankedFrame) -> RankedRow:
    """Return the journal's row of a key frame, its picture encoded as PNG."""
    cam, features = kept.prediction.cam, kept.prediction.features
    assert cam is not None
    assert features is not None
    return RankedRow(
        rank=kept.rank,
        epoch=kept.frame.id.epoch,
        seq=kept.frame.id.seq,
        time_ns=kept.time_ns,
        score=kept.score,
        score_parts=msgspec.json.encode(dict(kept.score_parts)).decode(),
        displaced=_short(kept.displaced) if kept.displaced else None,
        image_png=encode_png(kept.frame.image),
        cam_shape=msgspec.json.encode(cam.shape).decode(),
        cam=cam.astype("<f4").tobytes(),
        features=features.astype("<f4").tobytes(),
    )


def json_list(values: NDArray[np.float32]) -> str:
    """Return float32 numbers as the journal holds them: a JSON list that reads back exactly."""
    return msgspec.json.encode(values.tolist()).decode()


def _short(frame: FrameId) -> str:
    return f"{frame.epoch}:{frame.seq}"
