"""Measures the rows of one model: start-up, memory, the gate, then speed in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engine_rows import BATCHES, DEFAULT_ROW, TRACER, Row, find_obstacle
from benchmarks.engine_start import measure_start
from benchmarks.engine_subjects import Subject, find_recipe
from benchmarks.engine_turns import Frames, Runner, Timing, Turns, draw_noise, keep_busy, take_turns
from benchmarks.engine_variants import describe_verdict
from benchmarks.plan import Device
from calib.agreement import gate
from engines.base import Engine
from engines.build import build_engine
from engines.cache import open_cache
from engines.errors import EngineError
from engines.load import load_model
from engines.open import open_engine

REFERENCE = "onnxruntime"
NO_NETWORK = "the torch network of this model file is not known"
TRACE_S = 0.1
"""A trace has thousands of kernels by then."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured of one model.

    Parameters
    ----------
    subject : the model
    int8 : its INT8 model, as a file
    device, turns : where, and how long
    memory : whether start-up and memory are measured at the smallest and largest batch, in two
        processes a row
    cache : folder of compiled engines, empty at first
    say : gets lines of progress
    """

    subject: Subject
    int8: Path
    device: Device
    turns: Turns
    memory: bool
    cache: Path
    say: Say
    verdicts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def measure(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return a dictionary for each row; one that cannot run says so under ``not_run``."""
        obstacles = {row.backend: find_obstacle(row.backend, self.device) for row in rows}
        found: dict[Row, dict[str, Any]] = {
            row: {"not_run": obstacles[row.backend]} for row in rows if obstacles[row.backend]
        }
        for batch in sorted({row.batch for row in rows}):
            group = [row for row in rows if row.batch == batch and row not in found]
            found |= self._measure_group(group) if group else {}
        return [asdict(row) | found[row] for row in rows]

    def _measure_group(self, group: Sequence[Row]) -> dict[Row, dict[str, Any]]:
        """Measure the rows of one batch size, the default engine among them for the ratios."""
        found: dict[Row, dict[str, Any]] = {}
        with ExitStack() as stack:
            default = open_engine(self.subject.model, DEFAULT_ROW.backend)
            stack.enter_context(closing(default))
            runners: dict[Row, Runner] = {}
            for row in group:
                self.say(f"{self.subject.label}: {_title(row)}")
                try:
                    found[row] = self._prepare(row, runners, stack)
                except EngineError as error:
                    found[row] = {"not_run": error.problem}
            self.say(f"{self.subject.label}: {len(runners)} engines take turns")
            pairs = [(runner, self._noise(row.batch)) for row, runner in runners.items()]
            base, *timings = take_turns([(default, self._noise(1)), *pairs], self.turns)
            for row, timing in zip(runners, timings, strict=True):
                found[row] |= timing.describe() | timing.rate_over(base)
                found[row] |= self._measure_busy(row, runners[row], timing)
        return found

    def _prepare(self, row: Row, runners: dict[Row, Runner], stack: ExitStack) -> dict[str, Any]:
        """Open the runner of a row; return what is known of it before it is timed."""
        if row.is_torch:
            runners[row] = self._open_torch(row, stack)
            return {"gate": None}
        path = self.int8 if row.precision == "int8" else self.subject.path
        wanted = self.memory and row.batch in (BATCHES[0], BATCHES[-1])
        start = measure_start(path, row, self.cache) if wanted else {}
        model = load_model(path)
        built = build_engine(model, row.backend, row.options, open_cache(self.cache), self.say)
        runners[row] = stack.enter_context(closing(built.engine))
        return start | {"gate": self._judge(row, built.engine)}

    def _judge(self, row: Row, engine: Engine) -> dict[str, Any] | None:
        """Return the gate's verdict on a backend and precision, from the first engine of it."""
        if not self.subject.trained:
            return None
        key = (row.backend, row.precision)
        if key not in self.verdicts:
            with closing(open_engine(self.subject.model, REFERENCE)) as reference:
                verdict = gate(engine, reference, self.subject.judged)
            self.verdicts[key] = describe_verdict(verdict)
        return self.verdicts[key]

    def _open_torch(self, row: Row, stack: ExitStack) -> Runner:
        recipe = find_recipe(self.subject)
        if recipe is None:
            raise EngineError(self.subject.label, NO_NETWORK)
        from benchmarks.engine_torch import open_torch

        return stack.enter_context(closing(open_torch(recipe, row.backend, row.batch)))

    def _measure_busy(self, row: Row, runner: Runner, timing: Timing) -> dict[str, Any]:
        """Return the share of time in which a card works, or why it is not known."""
        if row.device == "cpu":
            return {}
        if obstacle := find_obstacle(TRACER, self.device):
            return {"busy_not_run": obstacle}
        from benchmarks.gpu_card import trace_device_s

        frames = self._noise(row.batch)
        try:
            spent_s = trace_device_s(lambda: keep_busy(runner, frames, TRACE_S))
        except EngineError as error:
            return {"busy_not_run": error.problem}
        return {"busy_rounds": [spent_s * rate_hz for rate_hz in timing.rates_hz]}

    def _noise(self, count: int) -> Frames:
        return draw_noise(self.subject.model.spec.input_wh, count)


def _title(row: Row) -> str:
    return f"{row.backend} {row.precision} {row.mode}, batch {row.batch}"
