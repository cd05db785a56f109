"""The flags that choose an engine, the same in every command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from engines.cache import open_cache
from engines.choose import Chosen, Wanted, choose_engine
from engines.load import Model
from engines.options import Precision
from stream import console


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class EngineFlags:
    """Which engine answers.

    Parameters
    ----------
    engine
        `auto`, `tensorrt`, `onnxruntime-cuda`, `openvino` or `onnxruntime`. `auto` takes the
        fastest engine that `stream compile` accepted for this model on this machine, else FP32.
    precision
        `fp32`, `fp16`, `bf16` or `int8`, for a named engine.
    force
        Take an engine that the acceptance gate rejected; every report says so.
    require_gpu
        Refuse to go on without a GPU engine.
    cache
        Folder of compiled engines, in place of the user's own.
    """

    engine: str = "auto"
    precision: Precision | None = None
    force: bool = False
    require_gpu: bool = False
    cache: Path | None = None


DEFAULT_FLAGS = EngineFlags()


def choose(model: Model, flags: EngineFlags) -> Chosen:
    """Open the engine that the flags ask for.

    Raises
    ------
    EngineError
        If none can be had.
    """
    wanted = Wanted(flags.engine, flags.precision, flags.require_gpu, flags.force)
    return choose_engine(model, open_cache(flags.cache), wanted, console.warn)
