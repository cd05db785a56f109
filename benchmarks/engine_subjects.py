"""The models of the engine benchmark, and the frames that they are judged on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calib.calibrating import Order, split_frames
from calib.coverage import Chosen
from calib.frames import FrameSet
from calib.held_out import held_out_frames
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import DEMO_MODEL
from engines.spec import ModelSpec

if TYPE_CHECKING:
    from train.recipe import Recipe

SHIPPED = "mobilenetv2"
RANDOM = {"mobilenetv3": "mobilenetv3_large_100", "densenet121": "densenet121"}
CLASSES = ("normal", "finding")
INT8 = ".int8.onnx"
USUAL, QUICK = (96, 200), (16, 48)
"""Frames to calibrate with, and to judge on."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model to be measured.

    Parameters
    ----------
    label : its name in the tables; budgets go by its beginning
    path, model : the float32 model
    trained : whether its answers mean anything
    chosen, judged : frames to calibrate with and to judge on, of different groups
    """

    label: str
    path: Path
    model: Model
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


def find_recipe(subject: Subject) -> Recipe | None:
    """Return the recipe of a model's network, where it is known, for torch's own rows."""
    if subject.model.spec.name == DEMO_MODEL.stem:
        return usual_recipe(SHIPPED)
    return None if subject.trained else usual_recipe(subject.label)


def usual_recipe(label: str) -> Recipe:
    """Return the recipe of the shipped model, or of one of random weights."""
    if label == SHIPPED:
        from train.study import read_study

        return read_study(DEMO_MODEL.stem).first
    return _recipe(label)


def usual_path(label: str, folder: Path) -> Path:
    """Return the file of the shipped model, or of one of random weights, written into `folder`."""
    return DEMO_MODEL if label == SHIPPED else _export_random(label, folder)


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
    return Subject(label, path, model, True, *_divide(model, frames, quick))


def _divide(model: Model, frames: FrameSet, quick: bool) -> tuple[Chosen, FrameSet]:
    """Return frames to calibrate with and frames to judge on, of different groups."""
    order = Order(*(QUICK if quick else USUAL), seed=0, calibrators=(), max_float=0)
    split = split_frames(model, frames, order)
    return split.chosen, split.held_out


def _with_list(model: Model, path: Path) -> tuple[Model, Path]:
    """Return the INT8 model beside a model, as its calibration frames judge nothing, or itself."""
    beside = path.with_suffix(INT8)
    return (load_model(beside), beside) if beside.is_file() else (model, path)


def _random(label: str, folder: Path) -> Subject:
    path = _export_random(label, folder)
    model = load_model(path)
    parts = _divide(model, held_out_frames(model, path), quick=True)
    return Subject(label, path, model, False, *parts)


def _export_random(label: str, folder: Path) -> Path:
    from train.nets.export import export_model
    from train.nets.models import build_network

    recipe = _recipe(label)
    path = folder / f"{label}.onnx"
    export_model(build_network(recipe).eval(), _spec(label, recipe.input_px), path)
    return path


def _recipe(label: str) -> Recipe:
    from train.recipe import Recipe

    return Recipe(
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
