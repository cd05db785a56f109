"""The search for an INT8 model that gives the answers of its FP32 model.

Scales by every rule of `calib.observers`, biases corrected each time; the rule with the best
agreement on frames held out from calibration wins. As long as the gate does not pass, depthwise
convolutions stay float, then the layers that lose most, one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from calib.activations import collect_histograms
from calib.agreement import judge_engine
from calib.bias import Means, correct_biases, measure_means
from calib.center import center_clips
from calib.coverage import Chosen
from calib.frames import FrameSet
from calib.limits import LEAST_FRAMES
from calib.observers import CALIBRATORS, Histogram
from calib.quantize import LEAST_SCALE, LEVELS, Calibration, find_layers, quantize
from calib.sensitivity import rank_layers
from engines.base import Engine, run_frames
from engines.errors import EngineError
from engines.graph_check import find_refusals
from engines.graph_index import parse_graph
from engines.load import Model
from engines.open import open_engine
from engines.sidecar import Verdict

BIAS_FRAMES = 16
RANK_FRAMES = 16

Progress = Callable[[str, int], None]


class Trial(msgspec.Struct, frozen=True):
    """One way to quantise, measured on the held-out frames.

    Parameters
    ----------
    calibrator : rule that chose the scales
    float_layers : convolutions left in float
    verdict : of the gate
    """

    calibrator: str
    float_layers: tuple[str, ...]
    verdict: Verdict

    @property
    def rank(self) -> tuple[bool, float]:
        """Accepted before rejected, then the closer logits."""
        snr = self.verdict.figures.get("logit_snr_db")
        return self.verdict.accepted, snr.value if snr else -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What a search found.

    Parameters
    ----------
    model : INT8
    trials : in the order in which they were measured
    best : the trial that `model` is from
    sensitivity : for each layer, dB that the logits keep when it alone is int8; empty when no
        layer had to be left in float
    """

    model: Model
    trials: tuple[Trial, ...]
    best: Trial
    sensitivity: Mapping[str, float]


class Search:
    """Calibrates one model; what all trials share is measured once.

    Parameters
    ----------
    reference : ONNX Runtime with the float32 model
    chosen : frames to calibrate with
    held_out : to measure with
    progress : called with what is under way and how many steps it has, after each step

    Raises
    ------
    EngineError
        If the model has no convolution that can be quantised.
    """

    def __init__(
        self, reference: Engine, chosen: Chosen, held_out: FrameSet, progress: Progress
    ) -> None:
        self._reference, self._held_out, self._progress = reference, held_out, progress
        self._frames, self._digest = chosen.frames.inputs, chosen.digest()
        self._model = center_clips(reference.model)
        layers = find_layers(parse_graph(self._model.data).graph)
        if not layers:
            problem = "no convolution with constant weights leads to its logits"
            raise EngineError(reference.model.name, problem, "there is nothing to quantise")
        self._depthwise = tuple(layer.name for layer in layers if layer.depthwise)
        self._trials: list[Trial] = []
        self._best: tuple[Trial, Model]
        sources = list(dict.fromkeys(layer.source for layer in layers))
        self._histograms: dict[str, Histogram] = collect_histograms(
            self._model, sources, self._frames, lambda count: progress("activations", count)
        )
        self._few = _spread(self._frames, BIAS_FRAMES)
        self._means: Means = measure_means(self._model, self._few)
        self._wanted = run_frames(reference, held_out.inputs)

    def run(self, calibrators: Collection[str], max_float: int) -> Calibrated:
        """Try calibrators, then leave layers in float until the gate passes.

        Depthwise convolutions go first, all together: on a CPU they are hardly faster in int8,
        and half of MobileNetV2's error and more is theirs.

        Parameters
        ----------
        calibrators : names of `calib.observers.CALIBRATORS`
        max_float : most layers to leave in float besides depthwise ones; 0 leaves none at all
        """
        for name in calibrators:
            self._try(name, (), len(calibrators))
        ranking: dict[str, float] = {}
        freed = self._depthwise if max_float else ()
        for name in calibrators if freed and self._goes_on else ():
            self._try(name, freed, len(calibrators))
        if max_float and self._goes_on:
            best = self._best[0]
            ranking = self._rank(best.calibrator)
            worst = [name for name in ranking if name not in best.float_layers][:max_float]
            for count in range(1, len(worst) + 1):
                left = (*best.float_layers, *worst[:count])
                self._try(best.calibrator, left, len(worst))
                if not self._goes_on:
                    break
        return Calibrated(self._best[1], tuple(self._trials), self._best[0], ranking)

    @property
    def _goes_on(self) -> bool:
        """Whether the gate has not passed, and could."""
        can_pass = len(self._held_out) >= LEAST_FRAMES
        return can_pass and not self._best[0].verdict.accepted

    def _try(self, calibrator: str, float_layers: tuple[str, ...], steps: int) -> None:
        """Quantise and measure; `steps` is for the progress."""
        note = Calibration(calibrator, self._digest, float_layers)
        model = quantize(self._model, self._scales(calibrator), note)
        model = correct_biases(model, self._means, self._few)
        refusals = find_refusals(model.data)
        assert not refusals, refusals
        trial = Trial(calibrator, float_layers, self._judge(model))
        if not self._trials or trial.rank > self._best[0].rank:
            self._best = trial, model
        self._trials.append(trial)
        self._progress(f"trials, {len(float_layers)} layers in float", steps)

    def _judge(self, model: Model) -> Verdict:
        """Ask the gate; the reference answered once for all trials."""
        with closing(open_engine(model)) as engine:
            return judge_engine(engine, self._reference.model, self._wanted, self._held_out)

    def _rank(self, calibrator: str) -> dict[str, float]:
        frames = _spread(self._frames, RANK_FRAMES)
        tick = self._progress
        return rank_layers(
            self._model, self._scales(calibrator), frames, lambda count: tick("layers", count)
        )

    def _scales(self, calibrator: str) -> dict[str, float]:
        choose = CALIBRATORS[calibrator]
        return {
            name: max(choose(histogram) / LEVELS, LEAST_SCALE)
            for name, histogram in self._histograms.items()
        }


def find_calibrators(name: str) -> Sequence[str]:
    """Return all calibrators for ``auto``, else those whose name begins with `name`.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = [known for known in CALIBRATORS if name == "auto" or known.startswith(name)]
    if not found:
        raise ValueError(f"calibrator {name!r}: expected auto or one of {', '.join(CALIBRATORS)}")
    return found


def _spread(frames: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    places = np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(np.int64)
    return frames[places]
