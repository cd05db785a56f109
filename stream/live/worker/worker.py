"""The worker: newest frame in, one engine run, result out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from engines.choose import Chosen
from engines.errors import EngineError
from engines.load import load_model
from engines.probe import Watch
from stream.analysis.analyser import Analyser
from stream.analysis.track import Tracker
from stream.clock import MS, now_ns
from stream.frame import Frame, Prediction
from stream.job import model_used
from stream.live.supervisor.config import EngineWanted, LiveConfig
from stream.live.supervisor.role import Post, Stop
from stream.live.wire.frames import FrameTaker
from stream.live.wire.messages import FrameHeader, Order
from stream.live.worker.heat import Throttle, read_heat
from stream.live.worker.outlet import Answer, Outlet
from stream.live.worker.results import Answered, failed_prediction
from stream.session.manifest import ModelUsed

WAIT_MS = 50
NOTE_NS = 500 * MS
MAX_FAILURES = 3
EXIT_FAILED = 1
PROBE_PERIOD_S = 60.0
FAILING = frozenset({"F05", "F06", "F07", "F08"})
"""Faults of an engine at work, after which another process may try; others refuse the model."""
DOUBTFUL = FAILING - {"F05"}
"""Those that cast doubt on what the engine said before."""
_log = logging.getLogger(__name__)

Open = Callable[[EngineWanted, bool], tuple[Chosen, ModelUsed]]
"""From what is wanted, and whether a smaller setting must do, to an open engine."""


def run_worker(config: LiveConfig, post: Post, stop: Stop, open_chosen: Open | None = None) -> int:
    """Answer for the newest frame until told to stop; return the status of the process.

    An engine that fails is never asked again by this process (F06): the next one tries.

    Raises
    ------
    EngineError
        If the model or the engine is refused.
    """
    with FrameTaker(config) as frames, Outlet(config) as outlet:
        worker = _Worker(config, post, outlet, open_chosen or open_wanted)
        try:
            worker.open()
            while not stop.wanted:
                taken = frames.take(WAIT_MS)
                worker.report(frames.refused)
                if taken is not None and not stop.wanted:
                    worker.answer(*taken)
            worker.finish()
        except EngineError as error:
            if error.fault not in FAILING:
                raise
            worker.fail(error)
            return EXIT_FAILED
    return 0


def open_wanted(wanted: EngineWanted, smaller: bool) -> tuple[Chosen, ModelUsed]:
    """Open the engine that the session asks for; the plain default when `smaller`.

    Raises
    ------
    EngineError
        If the model or the engine is refused.
    """
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
        self._throttle = Throttle()
        self._session = config.session  # where roles run apart, that of the frames
        self._number = self._failures = self._skipped = 0
        self._last_seq: int | None = None  # of the newest frame taken
        self._good_seq = -1  # the last answer that a probe confirmed
        self._noted_ns = 0
        self._small = False

    def open(self) -> None:
        """Open the engine and ask for the known answers; a smaller one if memory runs out."""
        try:
            self._open()
        except EngineError as error:
            if error.fault != "F05" or self._small:
                raise
            self._shrink(error)

    def finish(self) -> None:
        """Ask for the known answers a last time: what was said since holds, or is withdrawn."""
        self._watch.check()
        self._confirm()
        self._chosen.engine.close()

    def answer(self, header: FrameHeader, frame: Frame) -> None:
        """Analyse a frame and publish the result."""
        if header.session != self._session:
            self._meet(header.session)
        if self._last_seq is None:
            self._good_seq = header.seq - 1
        else:
            self._skipped += header.seq - self._last_seq - 1
        self._last_seq = header.seq
        began_ns = now_ns()
        if self._throttle.skips(began_ns):
            self._skipped += 1
            return
        prediction, error = self._ask(frame)
        self._throttle.worked(began_ns, now_ns())
        self._publish(header, frame, prediction)
        if error is not None:  # F06: the frame is accounted for, then all ends
            raise error
        self._judge(prediction)

    def _meet(self, session: str) -> None:
        """Begin afresh: where roles run apart, capture may be started again, as another session."""
        self._session, self._last_seq = session, None
        self._tracker = Tracker(self._chosen.engine.model.spec, self._config.analysis)

    def report(self, refused: int) -> None:
        """Beat, name the model to who came late, and ask for the known answers when due."""
        now = now_ns()
        if now - self._noted_ns >= NOTE_NS:
            self._noted_ns = now
            if self._session:
                self._outlet.introduce(self._session, self._config.instance, self.used)
            self._feel(now)
        if self._watch.check_if_due():
            self._confirm()
        counters = {"answered": self._number, "skipped": self._skipped, "refused": refused}
        facts = {"engine": str(self._chosen.engine.info)}
        if self._throttle.words:
            facts["throttled"] = self._throttle.words
        self._post.beat("up", "", counters, facts)

    def fail(self, error: EngineError) -> None:
        """Say why it ends; what an engine in doubt said since the last good probe is withdrawn."""
        _log.error("%s", error)
        cause = f"{error.problem}"[:300]
        if error.fault not in DOUBTFUL:
            self._post.beat("down", cause)
            return
        if self._last_seq is not None:
            order = Order(
                session=self._config.session or self._session,
                name="withdraw",
                seq=self._good_seq,
                last_seq=self._last_seq,
                text=f"[{error.fault}] {cause}"[:300],
            )
            self._post.send(order)
        self._post.beat("down", cause, facts={"withdrawn": cause})

    def _open(self) -> None:
        wanted = self._config.wanted
        chosen, used = self._opener(wanted, self._small)
        if wanted.digest not in ("", used.digest):
            problem = f"sha256 {used.digest[:16]}, the session began with {wanted.digest[:16]}"
            remedy = "put the file back, or start a new session"
            raise EngineError(Path(wanted.model).name, problem, remedy, fault="M08")
        self._chosen, self.used = chosen, used
        self._analyser = Analyser(chosen.engine)
        self._tracker = Tracker(chosen.engine.model.spec, self._config.analysis)
        self._watch = Watch(chosen.engine, chosen.probe, PROBE_PERIOD_S, now_ns)
        self._watch.check()
        self._confirm()

    def _shrink(self, error: EngineError) -> None:
        """Open a smaller engine, once (F05)."""
        self._small = True
        _log.warning("%s; trying a smaller setting", error)
        self._post.beat("starting", "out of memory; trying a smaller setting")
        self._open()

    def _ask(self, frame: Frame) -> tuple[Prediction, EngineError | None]:
        """Return the answer to a frame, and the error after which the engine is asked no more."""
        digest = self.used.digest
        try:
            return self._analyser.step(frame), None
        except MemoryError as error:
            full = EngineError("engine", f"out of memory: {error}", fault="F05")
            return failed_prediction(frame, full, digest), None
        except EngineError as error:
            return failed_prediction(frame, error, digest), error

    def _confirm(self) -> None:
        """Take note that everything said so far holds."""
        if self._last_seq is not None:
            self._good_seq = self._last_seq
        self._outlet.confirm(self._config.session)

    def _publish(self, header: FrameHeader, frame: Frame, prediction: Prediction) -> None:
        tracked = self._tracker.update(frame, prediction)
        kept = frame.pixels if tracked.kept is not None else None
        engine = str(self._chosen.engine.info)
        answered = Answered(self._config.instance, self._number, engine, now_ns())
        self._outlet.answer(Answer(header, prediction, tracked.smoothed, answered, kept))
        self._number += 1

    def _judge(self, prediction: Prediction) -> None:
        """Count failures in a row; make the engine smaller once when memory runs out (F05)."""
        if prediction.state != "failed_infer":
            self._failures = 0
            return
        self._failures += 1
        if prediction.reason.startswith("error[F05]"):
            error = EngineError("engine", prediction.reason, fault="F05")
            if self._small:
                raise error
            self._chosen.engine.close()
            self._shrink(error)
        elif self._failures >= MAX_FAILURES:
            problem = f"{MAX_FAILURES} frames in a row without an answer: {prediction.reason}"
            raise EngineError("engine", problem, fault="F08")

    def _feel(self, now: int) -> None:
        """Look how hot the machine is; the journal has when that changes the rate."""
        before = self._throttle.words
        self._throttle.update(read_heat(), now)
        words = self._throttle.words
        if bool(words) != bool(before):
            self._post.note("throttled", words or "full rate again", seq=self._last_seq or 0)
