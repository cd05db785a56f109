"""Where answers go: to viewers, who need the newest, and to the recorder, who needs all."""

from __future__ import annotations

from typing import NamedTuple

from engines.pixels import Pixels
from stream.analysis.smooth import Smoothed
from stream.closing import Closing
from stream.frame import Prediction
from stream.live.supervisor.config import LiveConfig
from stream.live.wire.links import publish_results, push_records
from stream.live.wire.messages import FrameHeader, ModelNote, Note
from stream.live.worker.results import Answered, encode_result
from stream.session.manifest import ModelUsed


class Answer(NamedTuple):
    """One answer; see `stream.live.worker.results.encode_result`."""

    header: FrameHeader
    prediction: Prediction
    smoothed: Smoothed | None
    answered: Answered
    kept: Pixels | None


class Outlet(Closing):
    """The two channels of the results; full pixels travel to the recorder alone.

    Parameters
    ----------
    config : of the session; without an endpoint for records, where roles run apart, nobody records
    """

    def __init__(self, config: LiveConfig) -> None:
        self._viewers = publish_results(config)
        self._recorder = push_records(config) if config.endpoints.records else None

    def close(self) -> None:
        """Close both; what was said last is still sent."""
        self._viewers.close()
        if self._recorder:
            self._recorder.close()

    def introduce(self, session: str, worker: int, used: ModelUsed) -> None:
        """Say what answers, again and again: viewers come and go, and the recorder may be new."""
        note = ModelNote(session=session, worker=worker, used=used)
        self._viewers.publish(note)
        if self._recorder:
            self._recorder.push(note)

    def confirm(self, session: str) -> None:
        """Say to the recorder, in order with the answers, that all those before hold."""
        if self._recorder:
            self._recorder.push(
                Note(session=session, role="worker", kind="confirmed", text="", epoch=0, seq=0)
            )

    def answer(self, answer: Answer) -> None:
        """Send an answer."""
        self._viewers.publish(*encode_result(*answer[:4], None))
        if self._recorder:
            self._recorder.push(*encode_result(*answer))
