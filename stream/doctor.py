"""Doctor: what is installed, which engines work, whether they agree, and how fast they are."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.base import EngineOutput, run_frames
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import BACKENDS, DEMO_MODEL, open_engine
from stream import console
from stream.session.manifest import versions

REFERENCE = "onnxruntime"
TOLERANCE = 1e-3
WARM_UP, RUNS = 10, 60


def doctor(
    *, gpu: bool = False, out: Path = Path(), int8: Path | None = None, json: bool = False
) -> int:
    """Say what is installed, which engines work, whether they agree, and how fast they are.

    Parameters
    ----------
    gpu
        Prove TensorRT on this machine's NVIDIA card and write `gpu-report.md` and
        `gpu-report.json`, to be sent back.
    out
        Folder for these two.
    int8
        INT8 model to prove as well, made by `stream calibrate`.
    json
        Print JSON.
    """
    if gpu:
        from stream.doctor_gpu import doctor_gpu

        return doctor_gpu(out, int8)
    model = load_model(DEMO_MODEL)
    reference = _try_engine(model, REFERENCE)
    results = {name: _examine(model, name, reference) for name in BACKENDS}
    machine = {"system": platform.platform(), "cores": str(len(os.sched_getaffinity(0)))}
    if json:
        console.show_json({"machine": machine, "versions": versions(), "engines": results})
    else:
        console.show_facts("Machine", machine)
        console.show_facts("Versions", versions())
        columns = ("engine", "works", "largest difference", "ms per frame", "says")
        rows = [(name, *result.values()) for name, result in results.items()]
        console.show_table("Engines, on the bundled model", columns, rows)
    works = any(result["works"] == "yes" for result in results.values())
    return 0 if works else EngineError.exit_code


def _examine(model: Model, name: str, reference: EngineOutput | str) -> dict[str, str]:
    answer = _try_engine(model, name)
    if isinstance(answer, str):
        return {"works": "no", "difference": "", "ms": "", "says": answer}
    if isinstance(reference, str):
        return {"works": "unproved", "difference": "", "ms": "", "says": "the reference is missing"}
    difference = max(
        float(np.abs(answer.probs - reference.probs).max()),
        float(np.abs(answer.cam - reference.cam).max() / np.abs(reference.cam).max()),
    )
    verdict = "yes" if difference < TOLERANCE else "no"
    says = "agrees with the reference" if verdict == "yes" else f"differs by more than {TOLERANCE}"
    return {
        "works": verdict,
        "difference": f"{difference:.1e}",
        "ms": f"{_time(model, name):.1f}",
        "says": says,
    }


def _try_engine(model: Model, name: str) -> EngineOutput | str:
    try:
        engine = open_engine(model, name)
    except (EngineError, ImportError) as error:
        return str(error)
    try:
        return run_frames(engine, _frames(model, 8))
    except EngineError as error:
        return str(error)
    finally:
        engine.close()


def _time(model: Model, name: str) -> float:
    engine = open_engine(model, name)
    try:
        frames = _frames(model, 1)
        for _ in range(WARM_UP):
            run_frames(engine, frames)
        spent_ns = []
        for _ in range(RUNS):
            began_ns = time.perf_counter_ns()
            run_frames(engine, frames)
            spent_ns.append(time.perf_counter_ns() - began_ns)
        return statistics.median(spent_ns) / 1e6
    finally:
        engine.close()


def _frames(model: Model, count: int) -> NDArray[np.uint8]:
    width, height = model.spec.input_wh
    noise = np.random.default_rng(0).integers(0, 256, (count, height, width, 3))
    return noise.astype(np.uint8)
