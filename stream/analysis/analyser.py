"""From a frame to its prediction: pure, the same live, in replay and in the benchmarks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, Pending
from engines.errors import EngineError
from engines.preprocess import place, to_model_input
from stream.analysis.gate import FeatureGate, GateAnswer, check_pixels
from stream.frame import Frame, Prediction, StageTimes


@dataclass(frozen=True, slots=True, eq=False)
class _Started:
    frame: Frame
    answer: GateAnswer
    pending: Pending | None
    preprocess_ns: int
    submitted_ns: int


SKIPPED = GateAnswer("skipped", "left out by --every")


def _without_run(frame: Frame, answer: GateAnswer) -> _Started:
    return _Started(frame, answer, None, 0, 0)


def _failed(error: EngineError) -> GateAnswer:
    """Return the state of a frame that got no answer; a device that failed ends everything."""
    if error.fault == "F06":
        raise error
    return GateAnswer("failed_infer", str(error))


class Analyser:
    """Gate, preprocess and run one engine; holds nothing from one frame to the next.

    Parameters
    ----------
    engine : an open engine; the caller closes it
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.spec = engine.model.spec
        self._gate = FeatureGate(self.spec.gate)

    def step(self, frame: Frame) -> Prediction:
        """Analyse one frame and wait for the answer.

        Raises
        ------
        EngineError
            With fault F06 if the device failed: this process must not ask it again.
        """
        return self._finish(self._start(frame))

    def run(self, frames: Iterable[Frame], every: int = 1) -> Iterator[tuple[Frame, Prediction]]:
        """Analyse each n-th frame in order, keeping the engine busy; answers are those of `step`.

        The frames between come back too, in state "skipped". Errors are those of `step`.
        """
        under_way: deque[_Started] = deque()
        for frame in frames:
            wanted = frame.id.seq % every == 0
            under_way.append(self._start(frame) if wanted else _without_run(frame, SKIPPED))
            if len(under_way) > self.engine.depth:
                oldest = under_way.popleft()
                yield oldest.frame, self._finish(oldest)
        for started in under_way:
            yield started.frame, self._finish(started)

    def _start(self, frame: Frame) -> _Started:
        if frame.damage is not None:
            return _without_run(frame, GateAnswer("damaged", frame.damage))
        began_ns = time.perf_counter_ns()
        model_input = frame.model_input
        if model_input is None:
            model_input = to_model_input(frame.pixels, self.spec.input_wh, self.spec.fit)
        answer = check_pixels(self._picture_part(frame, model_input))
        submitted_ns = time.perf_counter_ns()
        pending = None
        if answer.state == "ok":
            try:
                pending = self.engine.submit(model_input[None])
            except EngineError as error:
                answer = _failed(error)
        return _Started(frame, answer, pending, submitted_ns - began_ns, submitted_ns)

    def _picture_part(self, frame: Frame, model_input: NDArray[np.uint8]) -> NDArray[np.uint8]:
        where = place(frame.pixels.shape_hw, self.spec.input_wh, self.spec.fit)
        left, top, right, bottom = where.inner_xyxy
        return model_input[top:bottom, left:right]

    def _finish(self, started: _Started) -> Prediction:
        if started.pending is None:
            return self._without_answer(started, started.answer)
        try:
            output = started.pending.result()
            output.check(self.spec)  # F08, whoever made the engine: no NaN becomes a score
        except EngineError as error:
            return self._without_answer(started, _failed(error))
        engine_ns = time.perf_counter_ns() - started.submitted_ns
        answer, distance = self._gate.check(output.features[0])
        return Prediction(
            id=started.frame.id,
            state=answer.state,
            reason=answer.reason,
            probs=output.probs[0],
            cam=output.cam[0],
            features=output.features[0],
            distance=distance,
            times=StageTimes(started.preprocess_ns, engine_ns),
            model_digest=self.engine.model.digest,
        )

    def _without_answer(self, started: _Started, answer: GateAnswer) -> Prediction:
        return Prediction(
            id=started.frame.id,
            state=answer.state,
            reason=answer.reason,
            probs=None,
            cam=None,
            features=None,
            distance=None,
            times=StageTimes(started.preprocess_ns, 0),
            model_digest=self.engine.model.digest,
        )

    def steps(self, next_frame: Callable[[], Frame | None]) -> Iterator[Prediction]:
        """Analyse frames as they come, keeping the engine busy; answers are those of `step`.

        Ends when no frame is there and every one was answered. Errors are those of `step`.

        Parameters
        ----------
        next_frame : returns a frame that is there now, or None
        """
        under_way: deque[_Started] = deque()
        while True:
            frame = next_frame() if len(under_way) < self.engine.depth else None
            if frame is not None:
                under_way.append(self._start(frame))
            elif under_way:
                yield self._finish(under_way.popleft())
            else:
                return
