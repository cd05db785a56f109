"""Opens an engine by name, importing only the runtime that is asked for."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, cast

import numpy as np

from engines.base import Engine, Identity
from engines.errors import EngineError
from engines.load import Model
from engines.options import DEFAULT, EngineOptions

Kind = Literal["CPU", "GPU"]


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run a model.

    Parameters
    ----------
    module : has the functions of `BackendModule`
    package : import or distribution name of the runtime
    kind : of device
    """

    module: str
    package: str
    kind: Kind


class BackendModule(Protocol):
    """What each backend module offers."""

    def identify(self, options: EngineOptions) -> Identity:
        """Return what a compiled engine depends on besides its model and options."""
        ...

    def compile_engine(
        self, model: Model, options: EngineOptions, say: Callable[[str], None]
    ) -> bytes:
        """Compile and return what `load_engine` takes; `say` gets lines of progress."""
        ...

    def load_engine(self, model: Model, options: EngineOptions, blob: bytes | None) -> Engine:
        """Open an engine from what was compiled, or compile it here and now."""
        ...


# The preferred one first.
BACKENDS = {
    "tensorrt": Backend("engines.trt", "tensorrt", "GPU"),
    "onnxruntime-cuda": Backend("engines.ort_cuda", "onnxruntime-gpu", "GPU"),
    "openvino": Backend("engines.ov", "openvino", "CPU"),
    "onnxruntime": Backend("engines.ort", "onnxruntime", "CPU"),
}
TRIAL_LIMIT_S = 5.0
DEVICE_FAULTS = frozenset({"F05", "F06"})
"""Out of memory and broken device: not the model's fault, and not mended by compiling again."""
MODELS = Path(__file__).parent / "models"
DEMO_MODEL = MODELS / "phantom-kidney.onnx"


def installed_engines() -> tuple[str, ...]:
    """Return the names of engines whose runtime is installed, the preferred one first."""
    return tuple(name for name, backend in BACKENDS.items() if _is_installed(backend.package))


def load_backend(name: str) -> BackendModule:
    """Import the module of a backend.

    Raises
    ------
    EngineError
        If the name is unknown or its runtime is absent or cannot be imported.
    """
    names = installed_engines()
    remedy = f"installed: {', '.join(names) or 'none'}"
    if name not in names:
        raise EngineError(f"engine {name}", "not available here", remedy)
    try:
        return cast(BackendModule, importlib.import_module(BACKENDS[name].module))
    except ImportError as error:
        raise EngineError(f"engine {name}", f"not available here: {error}", remedy) from error


def open_engine(model: Model, name: str = "auto", options: EngineOptions = DEFAULT) -> Engine:
    """Compile a model with the named runtime and try it out, without the cache.

    ``auto`` is the preferred installed CPU engine, in int8 for a model that was made int8.

    Raises
    ------
    EngineError
        If the runtime is unknown or absent, or refuses the model or the options.
    """
    if name == "auto":
        name = next((n for n in installed_engines() if BACKENDS[n].kind == "CPU"), "openvino")
        if model.spec.precision == "int8":
            options = replace(options, precision="int8")
    engine = load_backend(name).load_engine(model, options, None)
    try_out(engine)
    return engine


def try_out(engine: Engine) -> None:
    """Run one grey frame and one full batch, which checks the outputs and warms the engine up.

    The graph has no loops, so the run ends; one that takes seconds a frame is refused. The engine
    is closed when it is refused.

    Raises
    ------
    EngineError
        With fault M05.
    """
    try:
        for count in sorted({1, engine.max_batch}):
            _try_batch(engine, count)
    except EngineError:
        engine.close()
        raise


def _try_batch(engine: Engine, count: int) -> None:
    width, height = engine.model.spec.input_wh
    began_s = time.monotonic()
    try:
        engine.submit(np.full((count, height, width, 3), 128, np.uint8)).result()
    except EngineError as error:
        fault = error.fault if error.fault in DEVICE_FAULTS else "M05"
        raise EngineError(engine.model.name, f"trial run: {error.problem}", fault=fault) from error
    each_s = (time.monotonic() - began_s) / count
    if each_s > TRIAL_LIMIT_S:
        problem = f"one frame took {each_s:.0f} s, more than {TRIAL_LIMIT_S:.0f} s"
        raise EngineError(engine.model.name, problem, "use a smaller model", fault="M05")


def _is_installed(package: str) -> bool:
    if find_spec(package):
        return True
    try:
        return bool(distribution(package))
    except PackageNotFoundError:
        return False
