"""How a model is to be compiled, whatever the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Mode = Literal["latency", "throughput"]


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frames in one run: fewest, the number to optimise for, most."""

    least: int = 1
    best: int = 1
    most: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.best <= self.most <= 1024:
            raise ValueError(f"batch {self}: expected 1 <= MIN <= OPT <= MAX <= 1024")

    def __str__(self) -> str:
        return f"{self.least}:{self.best}:{self.most}"


def parse_batch(text: str) -> Batch:
    """Read ``MIN:OPT:MAX``, or one number for all three.

    Raises
    ------
    ValueError
        If it is neither, or out of order.
    """
    parts = text.split(":")
    if len(parts) not in (1, 3) or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"batch {text!r}: expected MIN:OPT:MAX or one number")
    numbers = [int(part) for part in parts]
    return Batch(*(numbers * 3 if len(numbers) == 1 else numbers))


SINGLE = Batch()


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a model is compiled and run.

    Parameters
    ----------
    precision : of the arithmetic; int8 needs a model made by `stream calibrate`
    batch : frames in one run
    mode : fewest milliseconds per frame, or most frames per second
    threads : CPU cores to use; all that the process may use when None
    workspace_mib : device memory that the builder may use, or None for its own choice (TensorRT)
    timing_cache : file that makes repeated builds faster, or None (TensorRT)
    version_compatible : the plan also loads in later versions (TensorRT)
    hardware_compatible : the plan also runs on other cards of Ampere and later (TensorRT)
    """

    precision: Precision = "fp32"
    batch: Batch = SINGLE
    mode: Mode = "throughput"
    threads: int | None = None
    workspace_mib: int | None = None
    timing_cache: Path | None = None
    version_compatible: bool = False
    hardware_compatible: bool = False


DEFAULT = EngineOptions()
