"""The worker: newest frame in, one engine run, result out."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engines.choose import Chosen
from engines.errors import EngineError
from engines.load import load_model
from engines.probe import Watch
from stream.analysis.analyser import Analyser
from stream.analysis.track import Tracker
from stream.clock import MS, host_id, now_ns
from stream.frame import Frame, Prediction
from stream.job import model_used
from stream.live.config import EngineWanted, LiveConfig
from stream.live.frames import FrameTaker
from stream.live.heat import Throttle, read_temperature_c
from stream.live.messages import FrameHeader, Order
from stream.live.outlet import Answer, Outlet
from stream.live.results import Answered
from stream.live.role import Post, Stop
from stream.session.manifest import ModelUsed

WAIT_MS = 50
NOTE_NS = 500 * MS
MAX_FAILURES = 3
EXIT_DEVICE = 1
PROBE_PERIOD_S = 60.0
_log = logging.getLogger(__name__)

Open = Callable[[EngineWanted, bool], tuple[Chosen, ModelUsed]]
"""From what is wanted, and whether a smaller setting must do, to an open engine."""


def run_worker(config: LiveConfig, post: Post, stop: Stop, open_chosen: Open | None = None) -> int:
    """Answer for the newest frame until told to stop; return the status of the process.

    Status 5 refuses the model; every other failure lets a new worker try.
    """
    opener = open_chosen or open_wanted
    with FrameTaker(config) as frames, Outlet(config) as outlet:
        worker = _Worker(config, post, outlet, opener)
        try:
            while not stop.wanted:
                taken = frames.take(WAIT_MS)
                worker.report(frames.refused)
                if taken is not None:
                    worker.answer(*taken)
        except EngineError as error:  # F06, F07, F08: never again in this process
            worker.withdraw(error)
            return EXIT_DEVICE
        finally:
            worker.close()
    return 0


def open_wanted(wanted: EngineWanted, smaller: bool) -> tuple[Chosen, ModelUsed]:
    """Open the engine that the session asks for; the plain default when `smaller`.

    Raises
    ------
    EngineError
        If the model or the engine is refused.
    """
    from pathlib import Path

    from stream.engine_flags import EngineFlags, choose

    path = Path(wanted.model)
    model = load_model(path)
    flags = EngineFlags(
        "onnxruntime" if smaller else wanted.engine,
        None if smaller else wanted.precision,
        wanted.force,
        wanted.require_gpu and not smaller,
        Path(wanted.cache) if wanted.cache else None,
    )
    chosen = choose(model, flags)
    return chosen, model_used(chosen, model, path)


class _Worker:
    """What lives from frame to frame."""

    def __init__(self, config: LiveConfig, post: Post, outlet: Outlet, opener: Open) -> None:
        self._config, self._post, self._outlet, self._opener = config, post, outlet, opener
        chosen, used = opener(config.wanted, False)
        self._tracker = Tracker(chosen.engine.model.spec, config.analysis)
        self._throttle = Throttle()
        self._host = host_id()
        self._session = config.session  # where roles run apart, that of the frames
        self._number = self._failures = self._skipped = 0
        self._last_seq: int | None = None
        self._good: FrameHeader | None = None
        self._newest: FrameHeader | None = None
        self._noted_ns = 0
        self._small = False
        self._take(chosen, used)

    def _take(self, chosen: Chosen, used: ModelUsed) -> None:
        self._chosen, self.used = chosen, used
        self._analyser = Analyser(chosen.engine)
        self._watch = Watch(chosen.engine, chosen.probe, PROBE_PERIOD_S, now_ns)
        self._watch.check()

    def close(self) -> None:
        self._chosen.engine.close()

    def answer(self, header: FrameHeader, frame: Frame) -> None:
        """Analyse a frame and publish the result."""
        self._newest = header
        self._session = header.session
        if self._last_seq is not None:
            self._skipped += header.seq - self._last_seq - 1
        self._last_seq = header.seq
        if self._throttle.skips():
            return
        prediction = self._analyser.step(frame)
        tracked = self._tracker.update(frame, prediction)
        instance = self._config.instance
        kept = frame.pixels if tracked.kept is not None else None
        answered = Answered(instance, self._number, str(self._chosen.engine.info), now_ns())
        self._outlet.answer(Answer(header, prediction, tracked.smoothed, answered, kept))
        self._number += 1
        self._judge(prediction)

    def report(self, refused: int) -> None:
        """Beat, name the model to who came late, and ask for the known answers when due."""
        now = now_ns()
        if now - self._noted_ns >= NOTE_NS:
            self._noted_ns = now
            if self._session:
                self._outlet.introduce(self._session, self._config.instance, self.used)
            self._throttle.update(read_temperature_c())
        if self._watch.check_if_due():
            self._confirm()
        counters = {"answered": self._number, "skipped": self._skipped, "refused": refused}
        facts = {"engine": str(self._chosen.engine.info)}
        if self._throttle.words:
            facts["throttled"] = self._throttle.words
        self._post.beat("up", "", counters, facts)

    def withdraw(self, error: EngineError) -> None:
        """Take back what was said since the last good probe, for everybody to see."""
        good, session = self._good, self._config.session
        epoch, seq = (good.epoch, good.seq) if good else (0, -1)
        cause = f"{error.problem}"[:300]
        self._post.send(Order(session=session, name="withdraw", epoch=epoch, seq=seq, text=cause))
        self._post.beat("down", cause, facts={"withdrawn": cause})
        _log.error("%s", error)

    def _confirm(self) -> None:
        self._good = self._newest
        if self._newest is not None:
            self._post.note("confirmed", "", self._newest.epoch, self._newest.seq)

    def _judge(self, prediction: Prediction) -> None:
        """Count failures in a row; make the engine smaller once when memory runs out (F05)."""
        if prediction.state != "failed_infer":
            self._failures = 0
            return
        self._failures += 1
        if "[F05]" in prediction.reason and not self._small:
            self._small = True
            _log.warning("%s; trying a smaller setting", prediction.reason)
            self._chosen.engine.close()
            self._take(*self._opener(self._config.wanted, True))
        elif self._failures >= MAX_FAILURES or "[F05]" in prediction.reason:
            raise EngineError("engine", prediction.reason, fault="F08")


