"""Doctor for NVIDIA cards: builds, compares, measures, and writes a report to send back."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, Pending, run_frames
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import DEMO_MODEL, open_engine
from engines.options import EngineOptions, Precision, parse_batch
from engines.probe import make_probe, reference_frames
from engines.trt import compile_engine, identify, inspect_engine, load_engine
from stream import console
from stream.gpu_report import (
    COLUMNS,
    NAME,
    Timing,
    Trial,
    describe_machine,
    table_rows,
    write_report,
)

BATCHES = (1, 4, 8)
WARM_UP, RUNS = 10, 200
# Largest difference of a probability from ONNX Runtime on the same file: rounding of float32 sums,
# of half precision, and of sums of int8 products in another order.
LIMITS: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-2, "int8": 5e-2}
LOG_LINES = 200


def doctor_gpu(folder: Path, int8_model: Path | None = None, runs: int = RUNS) -> int:
    """Try TensorRT on this machine, write ``gpu-report.json`` and ``.md``, and show them in short.

    Parameters
    ----------
    folder : where the report goes; made if absent
    int8_model : made by `stream calibrate`, to try int8 as well
    runs : timed runs for each batch size

    Returns
    -------
    Exit code: 0 when every precision was built and agrees.

    Raises
    ------
    EngineError
        If TensorRT, its driver or a card is missing; the report is written all the same.
    """
    quantized = load_model(int8_model) if int8_model else None
    try:
        identity = identify(EngineOptions())
    except EngineError as error:
        write_report(folder, describe_machine(error=str(error)))
        raise
    model = load_model(DEMO_MODEL)
    plans: list[tuple[Precision, Model]] = [("fp32", model), ("fp16", model)]
    plans += [("int8", quantized)] if quantized else []
    report = describe_machine(
        tensorrt=identity.version, device=identity.device, driver=identity.driver
    )
    for precision, each in plans:
        write_report(folder, report)  # now, since the library may take the process down
        trial = _try(each, precision, runs)
        report = msgspec.structs.replace(report, trials=(*report.trials, trial))
        if "[F06]" in trial.error:
            break  # nothing after it in this process can be trusted
    write_report(folder, report)
    console.show_facts("Card", {"device": report.device, "driver": report.driver})
    console.show_table("TensorRT against ONNX Runtime", COLUMNS, table_rows(report))
    console.say(f"please send back {folder / NAME}.json and {NAME}.md")
    return 0 if report.passed else EngineError.exit_code


def _try(model: Model, precision: Precision, runs: int) -> Trial:
    """Build, compare and time one precision; a failure becomes part of the trial."""
    options = EngineOptions(precision, parse_batch(":".join(map(str, BATCHES))))
    found: dict[str, Any] = {}
    with _listen() as log:
        try:
            _examine(model, options, runs, log, found)
        except EngineError as error:
            found |= {"error": str(error), "agrees": False}
        except Exception as error:  # noqa: BLE001 - the report is for what nobody foresaw
            found |= {"error": f"{type(error).__name__}: {error}", "agrees": False}
            log += traceback.format_exception(error)
    return Trial(precision=precision, model=model.name, log=tuple(log[-LOG_LINES:]), **found)


def _examine(
    model: Model, options: EngineOptions, runs: int, log: list[str], found: dict[str, Any]
) -> None:
    """Put into `found` what is known so far, so that a failure loses nothing."""
    began_s = time.monotonic()
    plan = compile_engine(model, options, log.append)
    found["built_s"] = time.monotonic() - began_s
    found["plan_bytes"] = len(plan)
    layers = inspect_engine(plan, options)
    found["layers"] = tuple(msgspec.to_builtins(layer) for layer in layers)
    engine = load_engine(model, options, plan)
    try:
        probs, cam = _compare(model, engine, options.precision)
        found |= {"probs_difference": probs, "cam_difference": cam}
        found["timings"] = tuple(_time(engine, batch, runs) for batch in BATCHES)
        found["agrees"] = probs <= LIMITS[options.precision]
    finally:
        engine.close()


def _compare(model: Model, engine: Engine, precision: Precision) -> tuple[float, float]:
    """Return the largest differences of probabilities and maps.

    Five full batches, so that each slot records its CUDA graph and replays it, and a rest.
    """
    frames = np.concatenate([reference_frames(model.spec), _noise(engine, 5 * BATCHES[-1])])
    int8 = EngineOptions("int8") if precision == "int8" else EngineOptions()
    reference = open_engine(model, "onnxruntime", int8)
    try:
        return make_probe(reference, frames).differences(run_frames(engine, frames))
    finally:
        reference.close()


def _time(engine: Engine, batch: int, runs: int) -> Timing:
    frames = _noise(engine, batch)
    for _ in range(WARM_UP):
        engine.submit(frames).result()
    spent_ns = []
    for _ in range(runs):
        began_ns = time.perf_counter_ns()
        engine.submit(frames).result()
        spent_ns.append(time.perf_counter_ns() - began_ns)
    p50_ms, p99_ms = np.percentile(spent_ns, (50, 99)) / 1e6
    under_way: list[Pending] = []
    began_ns = time.perf_counter_ns()
    for _ in range(runs):
        under_way.append(engine.submit(frames))
        if len(under_way) >= engine.depth:
            under_way.pop(0).result()
    for pending in under_way:
        pending.result()
    rate_hz = runs * batch / ((time.perf_counter_ns() - began_ns) / 1e9)
    return Timing(batch=batch, p50_ms=float(p50_ms), p99_ms=float(p99_ms), rate_hz=rate_hz)


def _noise(engine: Engine, count: int) -> NDArray[np.uint8]:
    width, height = engine.model.spec.input_wh
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@contextmanager
def _listen() -> Iterator[list[str]]:
    """Collect what `engines.trt` logs, the warnings and errors of TensorRT among it."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("engines.trt")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
