"""The models of the engine benchmark, and the frames that they are judged on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calib.coverage import Chosen, choose_frames, find_traits, hold_out
from calib.frames import FrameSet
from calib.held_out import held_out_frames
from engines.base import run_frames
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import DEMO_MODEL, open_engine
from engines.spec import ModelSpec

if TYPE_CHECKING:
    from train.recipe import Recipe

SHIPPED = "mobilenetv2"
RANDOM = {"mobilenetv3": "mobilenetv3_large_100", "densenet121": "densenet121"}
CLASSES = ("normal", "finding")
INT8 = ".int8.onnx"
REFERENCE = "onnxruntime"
SEED = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many frames are looked at, calibrate and judge."""

    read: int = 1024
    calibration: int = 96
    judged: int = 200


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model to be measured.

    Parameters
    ----------
    label : its name in the tables; budgets go by its beginning
    path, model : the float32 model
    recipe : of the same network with random weights, for torch's own rows, where it is known
    trained : whether its answers mean anything
    chosen, judged : frames to calibrate with and to judge on, of different groups
    """

    label: str
    path: Path
    model: Model
    recipe: Recipe | None
    trained: bool
    chosen: Chosen
    judged: FrameSet

    @property
    def int8_path(self) -> Path | None:
        """Where `stream calibrate` puts the INT8 model, if it is there."""
        path = self.path.with_suffix(INT8)
        return path if path.is_file() else None


def open_subjects(
    names: Sequence[str], places: Sequence[str], folder: Path, quick: bool
) -> list[Subject]:
    """Open the models of the command line, or the shipped one and two of random weights.

    Parameters
    ----------
    names : ``FILE`` or ``LABEL=FILE``
    places : clips, stills, folders or tables to judge on; generated clips when empty
    folder : where models of random weights are written
    quick : fewer frames, and no models of random weights

    Raises
    ------
    EngineError
        If a model or the frames cannot be used.
    """
    if names:
        return [_open_given(name, places, quick) for name in names]
    shipped = _open(SHIPPED, DEMO_MODEL, (), quick)
    return [shipped, *(() if quick else (_random(label, folder) for label in RANDOM))]


def divide(model: Model, frames: FrameSet, counts: Counts) -> tuple[Chosen, FrameSet]:
    """Return frames to calibrate with and frames to judge on, no group in both."""
    frames = _thin(frames, counts.read)
    with closing(open_engine(model, REFERENCE)) as reference:
        answers = run_frames(reference, frames.inputs)
    traits = find_traits(frames, answers, model.spec, SEED)
    ours, theirs = hold_out(traits, SEED)
    chosen = choose_frames(frames.take(ours), traits.take(ours), counts.calibration, SEED)
    return chosen, _thin(frames.take(theirs), counts.judged)


def _thin(frames: FrameSet, count: int) -> FrameSet:
    places = np.linspace(0, len(frames) - 1, min(count, len(frames))).round()
    return frames.take(places.astype(np.int64))


def _open_given(name: str, places: Sequence[str], quick: bool) -> Subject:
    label, _, file = name.rpartition("=")
    path = Path(file)
    return _open(label or load_model(path).spec.name, path, places, quick)


def _open(label: str, path: Path, places: Sequence[str], quick: bool) -> Subject:
    model = load_model(path)
    if model.spec.precision != "fp32":
        remedy = "give the FP32 model; its INT8 model is found beside it"
        raise EngineError(path.name, f"is {model.spec.precision}", remedy)
    frames = held_out_frames(*_with_list(model, path), places)
    return Subject(label, path, model, None, True, *divide(model, frames, _counts(quick)))


def _counts(quick: bool) -> Counts:
    return Counts(120, 16, 48) if quick else Counts()


def _with_list(model: Model, path: Path) -> tuple[Model, Path]:
    """Return the INT8 model beside a model, whose calibration frames may not judge it, or itself."""
    beside = path.with_suffix(INT8)
    return (load_model(beside), beside) if beside.is_file() else (model, path)


def _random(label: str, folder: Path) -> Subject:
    from train.nets.export import export_model
    from train.nets.models import build_network
    from train.recipe import Recipe

    recipe = Recipe(
        name=label,
        variant=label,
        profile="bench",
        classes=CLASSES,
        positive_class=CLASSES[1],
        backbones=(RANDOM[label],),
        frozen="none",
        licence="none",
        intended_use="measuring speed",
    )
    path = folder / f"{label}.onnx"
    export_model(build_network(recipe).eval(), _spec(label, recipe.input_px), path)
    model = load_model(path)
    parts = divide(model, held_out_frames(model, path), _counts(quick=True))
    return Subject(label, path, model, recipe, False, *parts)


def _spec(label: str, side: int) -> ModelSpec:
    return ModelSpec(
        name=label,
        classes=CLASSES,
        positive_class=CLASSES[1],
        input_wh=(side, side),
        temperature=1.0,
        threshold=0.5,
        threshold_rule="none",
        cam_kind="cam",
        cam_scale=(1.0, 1.0),
        data_digest=hashlib.sha256(b"").hexdigest(),
        metrics={},
        metrics_split="none: random weights",
        licence="none",
        intended_use="measuring speed",
    )
