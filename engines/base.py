"""The engine protocol: one compiled model, the same outputs whatever the runtime."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.load import Model
from engines.options import EngineOptions, Precision
from engines.spec import ModelSpec

OUTPUTS = ("logits", "probs", "cam", "features")


@dataclass(frozen=True, slots=True, eq=False)
class EngineOutput:
    """Outputs of one run over N frames, float32.

    Parameters
    ----------
    logits : shape (N, C)
    probs : shape (N, C), temperature applied
    cam : shape (N, C, h, w), one map per class
    features : shape (N, D), pooled embedding
    """

    logits: NDArray[np.float32]
    probs: NDArray[np.float32]
    cam: NDArray[np.float32]
    features: NDArray[np.float32]

    def check(self, spec: ModelSpec) -> None:
        """Refuse an answer that is not finite or not of the spec's shape.

        Raises
        ------
        EngineError
            With fault F08.
        """
        classes = len(spec.classes)
        fits = self.probs.ndim == self.features.ndim == 2 and self.cam.ndim == 4
        if not (
            fits
            and self.logits.shape == self.probs.shape == self.cam.shape[:2]
            and self.probs.shape[1] == classes
        ):
            shapes = [a.shape for a in (self.logits, self.probs, self.cam, self.features)]
            problem, wanted = f"outputs have shapes {shapes}", f"expected {classes} classes"
            raise EngineError(spec.name, problem, wanted, fault="F08")
        with np.errstate(invalid="ignore"):  # of the sum of both infinities
            whole = (
                _finite(self.logits)
                and _finite(self.probs)
                and _finite(self.cam)
                and _finite(self.features)
            )
        if not whole:
            raise EngineError(spec.name, "outputs hold NaN or infinity", fault="F08")


def _finite(values: NDArray[np.float32]) -> bool:
    """Return whether every value is finite: what is not stays so in a sum."""
    return math.isfinite(np.add.reduce(values, axis=None, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which runtime answers, with what."""

    name: str
    version: str
    device: str
    precision: Precision

    def __str__(self) -> str:
        return f"{self.name} {self.version}, {self.precision}, {self.device}"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a compiled engine is bound to besides its model and options.

    Parameters
    ----------
    version : of the runtime
    device : as the runtime names it
    driver : of the device; empty on a CPU
    """

    version: str
    device: str
    driver: str = ""


class Pending(Protocol):
    """An answer under way."""

    def result(self) -> EngineOutput:
        """Wait for the answer and return it; arrays belong to the caller.

        Raises
        ------
        EngineError
            If the run failed or its answer is unusable.
        """
        ...


class Engine(Protocol):
    """One compiled model on one device.

    `submit` starts a run and returns at once while fewer than `depth` are under way; answers may
    be collected in any order. An engine is used from one thread.
    """

    @property
    def model(self) -> Model:
        """The verified model file that the engine was made from."""
        ...

    @property
    def info(self) -> EngineInfo:
        """Runtime, version, device and precision."""
        ...

    @property
    def depth(self) -> int:
        """How many runs may be under way to keep the device busy."""
        ...

    @property
    def max_batch(self) -> int:
        """How many frames one run may take."""
        ...

    def submit(self, frames: NDArray[np.uint8]) -> Pending:
        """Start a run over frames of shape (N, h, w, 3), uint8 RGB, 1 <= N <= max_batch.

        The caller leaves `frames` unchanged until the answer is there.

        Raises
        ------
        ValueError
            If the frames have another shape or type, or are too many.
        """
        ...

    def close(self) -> None:
        """Wait for runs under way and release the device."""
        ...


def run_frames(engine: Engine, frames: NDArray[np.uint8]) -> EngineOutput:
    """Run an engine over N frames, keeping it busy, and return the stacked answer.

    Parameters
    ----------
    frames : shape (N, h, w, 3), uint8 RGB, N >= 1
    """
    answers: list[EngineOutput] = []
    under_way: list[Pending] = []
    for start in range(0, len(frames), engine.max_batch):
        under_way.append(engine.submit(frames[start : start + engine.max_batch]))
        if len(under_way) >= engine.depth:
            answers.append(under_way.pop(0).result())
    answers.extend(pending.result() for pending in under_way)
    parts = [[getattr(answer, name) for answer in answers] for name in OUTPUTS]
    return EngineOutput(*(np.concatenate(part) for part in parts))


def check_input(frames: NDArray[np.uint8], spec: ModelSpec, max_batch: int) -> None:
    """Raise `ValueError` unless `frames` are what the engine takes."""
    width, height = spec.input_wh
    wanted = (height, width, 3)
    if frames.shape[1:] != wanted or frames.dtype != np.uint8:
        raise ValueError(f"frames {frames.shape} {frames.dtype}: expected (N, *{wanted}) uint8")
    if not 1 <= len(frames) <= max_batch:
        raise ValueError(f"{len(frames)} frames in one run: expected 1 to {max_batch}")


def pad_frames(frames: NDArray[np.uint8], least: int) -> NDArray[np.uint8]:
    """Return at least `least` frames, the last one repeated where there are fewer."""
    missing = least - len(frames)
    return np.concatenate([frames, *[frames[-1:]] * missing]) if missing > 0 else frames


def check_precision(
    model: Model, options: EngineOptions, name: str, offered: tuple[Precision, ...]
) -> None:
    """Refuse a precision that the engine does not offer or that the model is not made for.

    Parameters
    ----------
    name : of the engine, for people
    offered : precisions of the engine on this machine

    Raises
    ------
    EngineError
    """
    wanted, made = options.precision, model.spec.precision
    if wanted not in offered:
        problem = f"does not offer {wanted} on this machine"
        raise EngineError(f"engine {name}", problem, f"use {' or '.join(offered)}")
    if wanted == "int8" and made != "int8":
        problem = f"int8 asked, but the model is {made}"
        raise EngineError(model.name, problem, "make an int8 model of it with `stream calibrate`")
    if wanted != "int8" and made == "int8":
        problem = f"{wanted} asked, but the model was made int8 by `stream calibrate`"
        raise EngineError(model.name, problem, "use int8, or the model that it was made from")
