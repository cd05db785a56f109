"""The rows of the engine benchmark: every backend, precision, mode and batch, on CPU and GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.plan import Device
from engines.errors import EngineError
from engines.open import BACKENDS, installed_engines, load_backend
from engines.options import Batch, EngineOptions, Mode, Precision

BATCHES = (1, 4, 8, 32)
OFFERED: dict[str, tuple[Precision, ...]] = {
    "openvino": ("fp32", "bf16", "int8"),
    "onnxruntime": ("fp32", "int8"),
    "tensorrt": ("fp32", "fp16", "int8"),
    "onnxruntime-cuda": ("fp32", "fp16"),
    "torch-eager": ("fp16",),
    "torch-compile": ("fp16",),
    "torch-cuda-graph": ("fp16",),
}
TRACER = "torch-eager"
"""Where this can run, torch measures a card's bandwidth and the time that it works."""
MODES: dict[Device, tuple[Mode, ...]] = {
    "cpu": ("throughput", "latency"),
    # A card runs one batch at a time; latency is measured with nothing else under way.
    "cuda": ("throughput",),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way to run a model.

    Parameters
    ----------
    backend : a name of `OFFERED`
    precision, mode : as in `engines.options.EngineOptions`
    batch : frames in one run, neither fewer nor more
    """

    backend: str
    precision: Precision
    mode: Mode
    batch: int

    @property
    def options(self) -> EngineOptions:
        """How the engine is compiled."""
        return EngineOptions(self.precision, Batch(*[self.batch] * 3), self.mode)

    @property
    def device(self) -> Device:
        """What it runs on."""
        backend = BACKENDS.get(self.backend)
        return "cpu" if backend is not None and backend.kind == "CPU" else "cuda"

    @property
    def is_torch(self) -> bool:
        """Whether it is torch itself, which no session uses."""
        return self.backend not in BACKENDS


DEFAULT_ROW = Row("openvino", "fp32", "throughput", 1)
"""What every rate is compared with: the engine that sessions use when no other is accepted."""


def list_rows(batches: Sequence[int] = BATCHES) -> list[Row]:
    """Return every row, backend by backend."""
    return [
        row
        for backend, precisions in OFFERED.items()
        for precision in precisions
        for mode in MODES[Row(backend, precision, "latency", 1).device]
        for batch in batches
        for row in [Row(backend, precision, mode, batch)]
    ]


def find_obstacle(backend: str, device: Device) -> str:
    """Return why a backend cannot run here, or for this benchmark; empty when it can."""
    kind = Row(backend, "fp32", "latency", 1).device
    reason = _find_torch_obstacle() if backend not in BACKENDS else _find_obstacle(backend)
    return reason or ("" if kind == device else f"the run was for {device}")


def _find_obstacle(backend: str) -> str:
    if backend not in installed_engines():
        return f"{BACKENDS[backend].package} is not installed"
    try:
        load_backend(backend).identify(EngineOptions())
    except EngineError as error:
        return error.problem
    return ""


def _find_torch_obstacle() -> str:
    try:
        from benchmarks.gpu_card import find_card
    except ImportError:
        return "torch is not installed"
    return "" if find_card() else "torch sees no CUDA device"
