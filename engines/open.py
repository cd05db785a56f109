"""Opens an engine by name, importing only the runtime that is asked for."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path

from engines.base import Engine
from engines.errors import EngineError
from engines.load import Model

ENGINES = {
    "openvino": ("engines.ov", "OpenVinoEngine", "openvino"),
    "onnxruntime": ("engines.ort", "OnnxRuntimeEngine", "onnxruntime"),
}
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
    return engine
