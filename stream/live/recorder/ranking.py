"""The film strip's message: key frames as small pictures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.spec import ModelSpec
from stream.analysis.topk import RankedFrame
from stream.live.wire.codec import Buffer, Received
from stream.live.wire.messages import KeyNote, Ranking

THUMB_WIDTH_PX = 240


def encode_ranking(
    session: str, keys: Sequence[tuple[RankedFrame, bool]], spec: ModelSpec
) -> tuple[Ranking, list[Buffer]]:
    """Return header and payload; `keys` are key frames and whether the operator pinned them."""
    jpegs = [_encode_jpeg(kept) for kept, _ in keys]
    notes = []
    for (kept, pinned), jpeg in zip(keys, jpegs, strict=True):
        assert kept.prediction.probs is not None
        notes.append(
            KeyNote(
                rank=kept.rank,
                epoch=kept.frame.id.epoch,
                seq=kept.frame.id.seq,
                time_ns=kept.time_ns,
                score=kept.score,
                probability=float(kept.prediction.probs[spec.positive_index]),
                pinned=pinned,
                jpeg_bytes=len(jpeg),
            )
        )
    return Ranking(session=session, keys=tuple(notes)), list(jpegs)


def decode_ranking(received: Received) -> list[tuple[KeyNote, NDArray[np.uint8]]]:
    """Return each key frame with its picture (h, w, 3) RGB; a broken picture is left out."""
    ranking, place, found = received.message, 0, []
    assert isinstance(ranking, Ranking)
    for note in ranking.keys:
        data = np.frombuffer(received.payload[place : place + note.jpeg_bytes], np.uint8)
        place += note.jpeg_bytes
        image_bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if image_bgr is not None:
            found.append((note, cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB).astype(np.uint8)))
    return found


def _encode_jpeg(kept: RankedFrame) -> bytes:
    height, width = kept.frame.pixels.shape_hw
    small_wh = (THUMB_WIDTH_PX, max(1, round(height * THUMB_WIDTH_PX / width)))
    image = kept.frame.pixels.resized(small_wh)
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
