"""Live messages as rows of the journal."""

from __future__ import annotations

import msgspec

from stream.live.wire.messages import EpochNote
from stream.live.worker.results import Result
from stream.session.journal import FrameRow
from stream.session.live_journal import EpochRow
from stream.session.record import json_list


def frame_row(result: Result, time_ns: int) -> FrameRow:
    """Return the row of an answered frame.

    Parameters
    ----------
    time_ns : of its capture, counted from the start of the session
    """
    header, prediction = result.header, result.prediction
    return FrameRow(
        epoch=header.epoch,
        seq=header.seq,
        pts_ns=header.pts_ns,
        time_ns=time_ns,
        state=header.state,
        reason=header.reason,
        probs=json_list(prediction.probs) if prediction.probs is not None else None,
        smoothed=json_list(result.smoothed) if result.smoothed is not None else None,
        label=header.label,
        distance=header.distance,
        captured_ns=header.captured_ns,
        preprocess_ns=header.preprocess_ns,
        engine_ns=header.engine_ns,
    )


def epoch_row(note: EpochNote) -> EpochRow:
    """Return the row of an epoch."""
    return EpochRow(
        epoch=note.epoch,
        first_seq=note.first_seq,
        first_index=note.first_index,
        size_wh=_json(note.size_wh),
        box_xyxy=_json(note.box_xyxy),
        outline=_json(note.outline),
        cause=note.cause,
    )


def epoch_words(note: EpochNote) -> str:
    """Return the text of the event that an epoch is."""
    size = f"{note.size_wh[0]} x {note.size_wh[1]} px"
    masked = "" if note.outline else "; nothing is masked"
    return f"capture: {note.cause}; pictures are {size}{masked}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
