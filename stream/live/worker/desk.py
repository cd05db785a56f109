"""What one stream has of its own in a worker: its frames, its answers, its counts."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

from engines.errors import EngineError
from stream.analysis.track import Tracker
from stream.clock import MS, now_ns
from stream.closing import Closing
from stream.frame import Frame, Prediction
from stream.live.supervisor.config import LiveConfig
from stream.live.supervisor.role import Post
from stream.live.wire.channels import Subscriber
from stream.live.wire.frames import FrameTaker
from stream.live.wire.messages import FrameHeader, Order
from stream.live.worker.heat import Heat, Throttle
from stream.live.worker.opening import Opened
from stream.live.worker.outlet import Answer, Outlet
from stream.live.worker.results import Answered

ASKING_NS = 2000 * MS
"""A stream that has asked the engine nothing for so long says nothing about it."""


class Taken(NamedTuple):
    """A frame that is to be answered, and when it was taken."""

    desk: Desk
    header: FrameHeader
    frame: Frame
    taken_ns: int


class Desk(Closing):
    """One stream of a worker.

    Parameters
    ----------
    config : of the stream's session
    post : its line to the supervisor

    Attributes
    ----------
    post : as given
    """

    def __init__(self, config: LiveConfig, post: Post) -> None:
        self.post, self._config = post, config
        self._throttle = Throttle()
        self._session = config.session  # where roles run apart, that of the frames
        self._number = self._skipped = 0
        self._last_seq: int | None = None  # of the newest frame taken
        self._good_seq = -1  # the last answer that a probe confirmed
        self._asked_ns: int | None = None
        with ExitStack() as stack:
            self._taker = stack.enter_context(FrameTaker(config))
            self._outlet = stack.enter_context(Outlet(config))
            self._held = stack.pop_all()

    @property
    def frames(self) -> Subscriber:
        """Where its frames arrive."""
        return self._taker.socket

    def close(self) -> None:
        """Close its channels; what was said last is still sent."""
        self._held.close()

    def begin(self, opened: Opened) -> None:
        """Have an engine answer from now on; nothing of the one before is carried on."""
        self._opened = opened
        self._tracker = Tracker(opened.engine.model.spec, self._config.analysis)

    def take(self) -> Taken | None:
        """Return the newest frame that waits; None where none does, or it is to be left out."""
        taken = self._taker.take(0)
        if taken is None:
            return None
        header, frame = taken
        if header.session != self._session:
            self._meet(header.session)
        if self._last_seq is None:
            self._good_seq = header.seq - 1
        else:
            self._skipped += header.seq - self._last_seq - 1
        self._last_seq = header.seq
        now = now_ns()
        if self._throttle.skips(now):
            self._skipped += 1
            return None
        return Taken(self, header, frame, now)

    def publish(self, taken: Taken, prediction: Prediction) -> None:
        """Send the answer to a frame."""
        now = now_ns()
        self._throttle.worked(taken.taken_ns, now)
        if prediction.state == "failed_infer" or prediction.probs is not None:
            self._asked_ns = now
        tracked = self._tracker.update(taken.frame, prediction)
        kept = taken.frame.pixels if tracked.kept is not None else None
        engine = str(self._opened.engine.info)
        answered = Answered(self._config.instance, self._number, engine, now)
        self._outlet.answer(Answer(taken.header, prediction, tracked.smoothed, answered, kept))
        self._number += 1

    def asks(self, now: int) -> bool:
        """Tell whether frames of this stream reached the engine lately."""
        return self._asked_ns is not None and now - self._asked_ns < ASKING_NS

    def introduce(self) -> None:
        """Name the model to who came late."""
        if self._session:
            self._outlet.introduce(self._session, self._config.instance, self._opened.used)

    def feel(self, heat: Heat, now: int) -> None:
        """Take note how hot the machine is; the journal has when that changes the rate."""
        before = self._throttle.words
        self._throttle.update(heat, now)
        words = self._throttle.words
        if bool(words) != bool(before):
            self.post.note("throttled", words or "full rate again", seq=self._last_seq or 0)

    def beat(self) -> None:
        """Say that the worker runs, and what became of the frames."""
        refused = self._taker.refused
        counters = {"answered": self._number, "skipped": self._skipped, "refused": refused}
        facts = {"engine": str(self._opened.engine.info)}
        if self._throttle.words:
            facts["throttled"] = self._throttle.words
        self.post.beat("up", "", counters, facts)

    def confirm(self) -> None:
        """Take note that everything said so far holds."""
        if self._last_seq is not None:
            self._good_seq = self._last_seq
        self._outlet.confirm(self._config.session)

    def withdraw(self, error: EngineError) -> None:
        """Take back what was said since the last good probe, by an engine that is in doubt."""
        cause = error.problem[:300]
        if self._last_seq is not None:
            order = Order(
                session=self._config.session or self._session,
                name="withdraw",
                seq=self._good_seq,
                last_seq=self._last_seq,
                text=f"[{error.fault}] {cause}"[:300],
            )
            self.post.send(order)
        self.post.beat("down", cause, facts={"withdrawn": cause})

    def _meet(self, session: str) -> None:
        """Begin afresh: where roles run apart, capture may be started again, as another session."""
        self._session, self._last_seq = session, None
        self.begin(self._opened)
