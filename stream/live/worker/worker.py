"""The worker: newest frame of each stream in, one engine, results out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from engines.errors import EngineError
from engines.probe import Watch
from stream.analysis.analyser import Analyser
from stream.clock import MS, now_ns
from stream.frame import Frame, Prediction
from stream.live.supervisor.config import EngineWanted, LiveConfig
from stream.live.supervisor.role import Post, Stop
from stream.live.worker.desk import Desk, Taken
from stream.live.worker.gather import Gather
from stream.live.worker.heat import read_heat
from stream.live.worker.opening import Open, open_verified, open_wanted
from stream.live.worker.results import failed_prediction
from stream.live.worker.turns import Turns

__all__ = ["open_wanted", "run_streams", "run_worker"]

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


def run_worker(config: LiveConfig, post: Post, stop: Stop, open_chosen: Open | None = None) -> int:
    """Answer for one stream; see `run_streams`."""
    return run_streams([(config, post)], stop, open_chosen)


def run_streams(
    streams: Sequence[tuple[LiveConfig, Post]], stop: Stop, open_chosen: Open | None = None
) -> int:
    """Answer for the newest frame of each stream until told to stop; return the process's status.

    An engine that fails is never asked again by this process (F06): the next one tries.

    Parameters
    ----------
    streams : the session of each and its line to the supervisor; the engine is that of the first
    open_chosen : opens it; as the command line asks when None

    Raises
    ------
    EngineError
        If the model or the engine is refused.
    """
    with ExitStack() as stack:
        desks = [stack.enter_context(Desk(config, post)) for config, post in streams]
        turns = Turns(desks)
        worker = _Worker(desks, turns, streams[0][0].wanted, open_chosen or open_wanted)
        try:
            worker.open()
            while not stop.wanted:
                waiting = turns.wait(WAIT_MS)
                worker.report()
                if waiting and not stop.wanted:
                    worker.answer()
            worker.finish()
        except EngineError as error:
            if error.fault not in FAILING:
                raise
            worker.fail(error)
            return EXIT_FAILED
    return 0


class _Worker:
    """One engine and the streams that ask it."""

    def __init__(
        self, desks: Sequence[Desk], turns: Turns, wanted: EngineWanted, opener: Open
    ) -> None:
        self._desks, self._turns = desks, turns
        self._wanted, self._opener = wanted, opener
        self._failures: list[Desk] = []  # whose frames got no answer, since the last that did
        self._failure = self._full = ""  # the reason of the last, and of one that lacked memory
        self._broken: EngineError | None = None
        self._small = self._ill = False
        self._noted_ns = self._until_ns = 0

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
        self._opened.engine.close()

    def answer(self) -> None:
        """Analyse the newest frames and publish the results, until none waits or for a while."""
        self._until_ns, self._ill = now_ns() + WAIT_MS * MS, False
        for taken, prediction in self._ask():
            taken.desk.publish(taken, prediction)
            self._count(taken.desk, prediction)
        if self._broken is not None:  # F06: the frames are accounted for, then all ends
            raise self._broken
        self._judge()

    def report(self) -> None:
        """Beat, name the model to who came late, and ask for the known answers when due."""
        now = now_ns()
        if now - self._noted_ns >= NOTE_NS:
            self._noted_ns = now
            heat = read_heat()
            for desk in self._desks:
                desk.introduce()
                desk.feel(heat, now)
        if self._watch.check_if_due():
            self._confirm()
        for desk in self._desks:
            desk.beat()

    def fail(self, error: EngineError) -> None:
        """Say why it ends; what an engine in doubt said since the last good probe is withdrawn."""
        _log.error("%s", error)
        for desk in self._desks:
            if error.fault in DOUBTFUL:
                desk.withdraw(error)
            else:
                desk.post.beat("down", error.problem[:300])

    def _open(self) -> None:
        self._opened = opened = open_verified(self._opener, self._wanted, self._small)
        batches = opened.engine.max_batch > 1
        self._analyser = Analyser(Gather(opened.engine) if batches else opened.engine)
        for desk in self._desks:
            desk.begin(opened)
        self._watch = Watch(opened.engine, opened.probe, PROBE_PERIOD_S, now_ns)
        self._watch.check()
        self._confirm()

    def _shrink(self, error: EngineError) -> None:
        """Open a smaller engine, once (F05)."""
        self._small = True
        _log.warning("%s; trying a smaller setting", error)
        for desk in self._desks:
            desk.post.beat("starting", "out of memory; trying a smaller setting")
        self._open()

    def _confirm(self) -> None:
        for desk in self._desks:
            desk.confirm()

    def _ask(self) -> Iterator[tuple[Taken, Prediction]]:
        """Yield frames with their answers; where the engine fails, all under way fail with it."""
        under_way = self._turns.under_way
        try:
            for prediction in self._analyser.steps(self._next):
                yield under_way.popleft(), prediction
            return
        except MemoryError as error:
            failure = EngineError("engine", f"out of memory: {error}", fault="F05")
        except EngineError as error:
            failure = self._broken = error
        while under_way:
            taken = under_way.popleft()
            yield taken, failed_prediction(taken.frame, failure, self._opened.used.digest)

    def _next(self) -> Frame | None:
        """Return the next frame; none once the engine failed: that has to be judged first."""
        if self._ill or now_ns() > self._until_ns:
            return None
        return self._turns.take()

    def _count(self, desk: Desk, prediction: Prediction) -> None:
        """Count failures in a row; frames that never reached the engine say nothing about it."""
        if prediction.state == "failed_infer":
            self._ill = True
            self._failures.append(desk)
            self._failure = prediction.reason
            if prediction.reason.startswith("error[F05]"):
                self._full = prediction.reason
        elif prediction.probs is not None:
            self._failures.clear()

    def _judge(self) -> None:
        """Make the engine smaller once when memory runs out (F05); end one that fails (F08).

        The pictures of one stream may be to blame as long as another gets answers.
        """
        if self._full:
            error, self._full = EngineError("engine", self._full, fault="F05"), ""
            if self._small:
                raise error
            self._opened.engine.close()
            self._shrink(error)
        elif len(self._failures) >= MAX_FAILURES:
            now = now_ns()
            if all(desk in self._failures for desk in self._desks if desk.asks(now)):
                problem = f"{MAX_FAILURES} frames in a row without an answer: {self._failure}"
                raise EngineError("engine", problem, fault="F08")
