"""Opens an engine by name, importing only the runtime that is asked for."""

from __future__ import annotations

import importlib
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from engines.base import Engine
from engines.errors import EngineError
from engines.load import Model

ENGINES = {
    "openvino": ("engines.ov", "OpenVinoEngine", "openvino"),
    "onnxruntime": ("engines.ort", "OnnxRuntimeEngine", "onnxruntime"),
}
TRIAL_LIMIT_S = 5.0
MODELS = Path(__file__).parent / "models"
DEMO_MODEL = MODELS / "phantom-kidney.onnx"


def installed_engines() -> tuple[str, ...]:
    """Return the names of engines whose runtime is installed, the preferred one first."""
    return tuple(name for name, (_, _, package) in ENGINES.items() if find_spec(package))


def open_engine(model: Model, name: str = "auto", threads: int | None = None) -> Engine:
    """Compile a model with the named runtime, or the preferred installed one for ``auto``.

    Raises
    ------
    EngineError
        If the runtime is unknown or absent, or refuses the model.
    """
    names = installed_engines()
    chosen = next(iter(names), "openvino") if name == "auto" else name
    if chosen not in names:
        raise EngineError(
            f"engine {chosen}", "not available here", f"installed: {', '.join(names) or 'none'}"
        )
    module, attribute, _ = ENGINES[chosen]
    engine: Engine = getattr(importlib.import_module(module), attribute)(model, threads)
    _try_out(engine)
    return engine


def _try_out(engine: Engine) -> None:
    """Run one grey frame, which checks the outputs and warms the engine up.

    The graph has no loops, so the run ends; one that takes seconds a frame is refused.
    """
    width, height = engine.model.spec.input_wh
    began_s = time.monotonic()
    try:
        engine.submit(np.full((1, height, width, 3), 128, np.uint8)).result()
    except EngineError as error:
        engine.close()
        raise EngineError(engine.model.name, f"trial run: {error.problem}", fault="M05") from error
    spent_s = time.monotonic() - began_s
    if spent_s > TRIAL_LIMIT_S:
        engine.close()
        problem = f"one frame took {spent_s:.0f} s, more than {TRIAL_LIMIT_S:.0f} s"
        raise EngineError(engine.model.name, problem, "use a smaller model", fault="M05")
