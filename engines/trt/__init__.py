"""TensorRT 10.12 to 11: NVIDIA cards. The only folder that imports tensorrt, pycuda and cuda.

Importing this package imports none of them; its functions do, and say in one line what is missing.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from engines.base import Identity, check_precision
from engines.errors import EngineError
from engines.load import Model
from engines.options import DEFAULT, EngineOptions, Precision

if TYPE_CHECKING:
    from engines.trt.layers import Layer
    from engines.trt.run import TensorRtEngine

NAME = "tensorrt"
OFFERED: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8")
OLDEST = (10, 12)
"""The first with complete strong typing."""
_log = logging.getLogger(__name__)


def identify(options: EngineOptions) -> Identity:
    """Return what a compiled engine depends on: TensorRT, the card and its driver.

    Raises
    ------
    EngineError
        If TensorRT, PyCUDA, the driver or a card is missing.
    """
    version = require_runtime()
    from engines.trt.cuda import find_device

    _, device, driver = find_device()
    return Identity(version, device, driver)


def compile_engine(model: Model, options: EngineOptions, say: Callable[[str], None]) -> bytes:
    """Build a plan for the card of this machine; `say` gets lines of progress.

    Raises
    ------
    EngineError
        If something is missing, the precision does not fit the model, the graph holds what
        TensorRT refuses (M05), the build fails, or device memory runs out (F05).
    KeyboardInterrupt
        If the person interrupts the build.
    """
    identify(options)
    check_precision(model, options, NAME, OFFERED)
    from engines.trt.build import build_plan
    from engines.trt.cuda import device_faults, open_device

    with open_device() as device, device_faults(model.name), device.active():
        return build_plan(model, options, say)


def load_engine(model: Model, options: EngineOptions, blob: bytes | None) -> TensorRtEngine:
    """Open an engine from its plan, or build it here and now when `blob` is None.

    Raises
    ------
    EngineError
        As `compile_engine`; M06 if the plan cannot be loaded or is not for this model.
    """
    require_runtime()
    if blob is None:
        blob = compile_engine(model, options, _log.info)
    from engines.trt.run import open_plan

    return open_plan(model, options, blob)


def inspect_engine(plan: bytes, options: EngineOptions = DEFAULT) -> list[Layer]:
    """Return the layers that TensorRT made of the graph, in the order of execution.

    Raises
    ------
    EngineError
        If something is missing or the plan cannot be loaded.
    """
    require_runtime()
    from engines.trt.run import inspect_plan

    return inspect_plan(plan, options)


def require_runtime() -> str:
    """Return the version of TensorRT.

    Raises
    ------
    EngineError
        If TensorRT or PyCUDA cannot be imported, or TensorRT is too old.
    """
    for module in ("tensorrt", "pycuda.driver"):
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            remedy = "it needs an NVIDIA driver and `pip install sonostream[gpu]`"
            problem = f"{module} cannot be imported: {error}"
            raise EngineError(f"engine {NAME}", problem, remedy) from error
    import tensorrt as trt

    version = str(trt.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        problem = f"TensorRT {version} is too old"
        raise EngineError(f"engine {NAME}", problem, "expected 10.12 or later")
    return version
