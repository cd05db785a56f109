"""The known-answer probe: frames whose answers are known, asked again while the engine runs."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, EngineOutput, run_frames
from engines.errors import EngineError
from engines.spec import ModelSpec

# On a CPU an engine repeats itself to the last bit, whatever the batch, mode and threads (measured
# in float32, bf16 and int8). A card may take another kernel when it loads again, which moves
# float16 answers by their rounding, 5e-4 of their size. A fault that matters moves them further.
PROBS_LIMIT = 2e-3
CAM_LIMIT = 1e-2
PERIOD_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Frames with the answers that an engine gave when it was accepted.

    Parameters
    ----------
    frames : shape (N, h, w, 3), uint8 RGB
    probs : shape (N, C), float32
    cam : shape (N, C, h', w'), float32
    """

    frames: NDArray[np.uint8]
    probs: NDArray[np.float32]
    cam: NDArray[np.float32]

    def check(self, engine: Engine) -> float:
        """Ask the frames again and return the largest difference of a probability.

        Raises
        ------
        EngineError
            With fault F07 if a probability differs by more than `PROBS_LIMIT`, or the map by more
            than `CAM_LIMIT` of its largest value; F08 if the answer is not finite.
        """
        output = run_frames(engine, self.frames)
        if output.cam.shape != self.cam.shape or output.probs.shape != self.probs.shape:
            problem = f"known-answer probe: map {output.cam.shape}, expected {self.cam.shape}"
            raise EngineError(str(engine.info), problem, fault="F07")
        probs, cam = self.differences(output)
        if not (probs <= PROBS_LIMIT and cam <= CAM_LIMIT):  # NaN keeps no limit
            problem = (
                f"known-answer probe: probabilities differ by {probs:.2g} (limit {PROBS_LIMIT}), "
                f"the map by {cam:.2g} of its largest value (limit {CAM_LIMIT})"
            )
            raise EngineError(str(engine.info), problem, "do not use its results", fault="F07")
        return probs

    def differences(self, output: EngineOutput) -> tuple[float, float]:
        """Return the largest difference of a probability, and of the map over its largest value."""
        largest = float(np.abs(self.cam).max() or 1.0)
        return (
            float(np.abs(output.probs - self.probs).max()),
            float(np.abs(output.cam - self.cam).max()) / largest,
        )


def make_probe(engine: Engine, frames: NDArray[np.uint8]) -> Probe:
    """Return a probe whose known answers are those of `engine` to `frames` (N, h, w, 3)."""
    output = run_frames(engine, frames)
    return Probe(frames, output.probs, output.cam)


def encode_probe(probe: Probe) -> bytes:
    """Return a probe as npz, the same bytes for the same probe."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, frames=probe.frames, probs=probe.probs, cam=probe.cam)
    return buffer.getvalue()


def decode_probe(data: bytes) -> Probe:
    """Read a probe; nothing in the file can run code.

    Raises
    ------
    EngineError
        With fault M06 if it is not the npz of a probe.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Probe(arrays["frames"], arrays["probs"], arrays["cam"])
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise EngineError("probe", f"cannot be read: {error}", fault="M06") from error


def reference_frames(spec: ModelSpec) -> NDArray[np.uint8]:
    """Draw four frames (4, h, w, 3) like ultrasound: speckle, dark, bright blob, bright lines.

    They need no data and are the same everywhere.
    """
    width, height = spec.input_wh
    rng = np.random.default_rng(20)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = (columns + 0.5) / width - 0.5, (rows + 0.5) / height
    fan = (np.hypot(x, y) < 0.95) & (np.abs(x) < 0.75 * y + 0.05)
    # Fully developed speckle is a Rayleigh amplitude; compressed, it fades with depth.
    speckle = np.clip(60 * rng.rayleigh(1.0, (height, width)) * np.exp(-y), 0, 255)
    blob = 200 * np.exp(-((x - 0.1) ** 2 + (y - 0.55) ** 2) / 0.01)
    lines = 160 * (np.cos(60 * x) > 0.9) * (y > 0.3) + 120 * (np.abs(y - 0.3) < 0.01)
    pictures = (speckle, 0.04 * speckle, 0.5 * speckle + blob, 0.4 * speckle + lines)
    grey = [np.clip(picture * fan, 0, 255).astype(np.uint8) for picture in pictures]
    return np.repeat(np.stack(grey)[..., None], 3, axis=3)


class Watch:
    """Asks the probe at the start, then at most once a period, and remembers when it last held.

    Parameters
    ----------
    engine : to be watched, asked between its frames
    probe : with its known answers
    period_s : between two probes
    clock_ns : monotonic clock
    """

    def __init__(
        self,
        engine: Engine,
        probe: Probe,
        period_s: float = PERIOD_S,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._engine, self._probe = engine, probe
        self._period_ns, self._clock_ns = round(period_s * 1e9), clock_ns
        self._asked_ns: int | None = None
        self.last_good_ns: int | None = None

    def check_if_due(self) -> bool:
        """Ask when a period has passed since the last time; return whether it was asked.

        Raises
        ------
        EngineError
            As `check`.
        """
        if self._asked_ns is not None and self._clock_ns() - self._asked_ns < self._period_ns:
            return False
        self.check()
        return True

    def check(self) -> None:
        """Ask now, as at the start and at the end of a session.

        Raises
        ------
        EngineError
            With fault F07 or F08; results after `last_good_ns` are then in doubt.
        """
        began_ns = self._asked_ns = self._clock_ns()
        self._probe.check(self._engine)
        self.last_good_ns = began_ns
