"""A recipe: everything a training run can be told, read from a TOML file and checked."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated

import msgspec

from engines.spec import Fit
from stream.errors import UsageError

RECIPES = Path(__file__).parent / "recipes"

Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Augment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a training view may differ from its frame; zero switches a change off.

    Parameters
    ----------
    flip : probability of a left-right mirror
    rotate_deg : largest rotation either way
    zoom : largest relative change of scale either way
    shift : largest displacement as a share of the side
    contrast : largest relative change of contrast, brightness and gamma
    speckle : largest standard deviation of multiplicative noise
    soften : probability of losing resolution, down to a third
    tint : probability of another colour map, half of the time grey
    erase : probability of blanking a rectangle in a corner
    """

    flip: Share = 0.5
    rotate_deg: Annotated[float, msgspec.Meta(ge=0, le=45)] = 12.0
    zoom: Share = 0.15
    shift: Share = 0.08
    contrast: Share = 0.25
    speckle: Share = 0.15
    soften: Share = 0.3
    tint: Share = 0.0
    erase: Share = 0.3


class PhantomSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which generated clips make the data.

    Parameters
    ----------
    organ : organ of the classes
    train, validation, test : numbers of seeds in each part; parts never share a seed
    frames_per_clip : frames taken from each clip, evenly spaced
    others : organs that only widen the gate statistics
    """

    organ: str
    train: Positive
    validation: Positive
    test: Positive
    frames_per_clip: Positive
    others: tuple[str, ...] = ()


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a training run can be told.

    Parameters
    ----------
    name : of the model and of the run folder
    classes, positive_class, fit : as in `engines.spec.ModelSpec`
    backbone : timm name, of the MobileNetV2 family; its first three stages stay frozen
    input_px : side of the model input
    views : stored views of each training frame, the first one unchanged
    epochs, batch : of the optimiser
    draws : frames drawn per epoch, equally often from each class and, within it, each clip
    learning_rate, weight_decay : of AdamW, in one cycle
    drop, label_smoothing, mixup : regularisation; `mixup` is the Beta parameter, 0 for none
    average : decay per step of the averaged weights that are kept, 0 for none
    neck : channels of a finer feature map at an eighth of the input, 0 for the network's own
    stages : stages of the backbone to use, of 7; later ones are more about objects than texture
    point : weight of the loss that draws the positive map's peak onto the finding's mask
    tune_norms : True when batch normalisation uses and updates batch statistics
    seed : of everything that is random
    licence, intended_use : written into the model
    augment : how views differ
    phantom : generated data, or None when the data is a table of frames
    """

    name: str
    classes: tuple[str, ...]
    positive_class: str
    fit: Fit = "letterbox"
    backbone: str = "mobilenetv2_100"
    input_px: Annotated[int, msgspec.Meta(ge=32, le=1024)] = 224
    views: Positive = 12
    epochs: Positive = 10
    batch: Annotated[int, msgspec.Meta(ge=2)] = 32
    draws: Positive = 600
    learning_rate: Rate = 1e-3
    weight_decay: Share = 0.05
    drop: Share = 0.3
    label_smoothing: Share = 0.1
    mixup: Share = 0.0
    average: Share = 0.0
    neck: Annotated[int, msgspec.Meta(ge=0)] = 0
    stages: Annotated[int, msgspec.Meta(ge=4, le=7)] = 7
    point: Share = 0.0
    tune_norms: bool = True
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    licence: str
    intended_use: str
    augment: Augment = Augment()
    phantom: PhantomSet | None = None

    def quickened(self) -> Recipe:
        """Return a tiny version that shows the whole path runs; its figures mean nothing."""
        small = self.phantom and msgspec.structs.replace(
            self.phantom, train=6, validation=4, test=4, frames_per_clip=2
        )
        return msgspec.structs.replace(self, epochs=1, views=2, draws=64, batch=16, phantom=small)


def read_recipe(name: str) -> Recipe:
    """Read a recipe by the name of a shipped one or the path of a TOML file.

    Raises
    ------
    UsageError
        C06 for a missing recipe, an unknown key, or a value out of range.
    """
    shipped = {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}
    path = shipped.get(name, Path(name))
    if not path.is_file():
        near = difflib.get_close_matches(name, shipped, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"shipped: {', '.join(shipped)}"
        raise UsageError(name, "no such recipe", hint, fault="C06")
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(path.name, *_explain(str(error)), fault="C06") from error


def _explain(message: str) -> tuple[str, str]:
    """Return the problem and, for an unknown key, the nearest key."""
    found = re.search(r"unknown field `([^`]+)`(?: - at `\$\.?([^`]*)`)?", message)
    if not found:
        return message, "see docs/training.md for keys and ranges"
    kind = {"augment": Augment, "phantom": PhantomSet}.get(found[2] or "", Recipe)
    near = difflib.get_close_matches(found[1], kind.__struct_fields__, 1, cutoff=0)
    return f"unknown key {found[1]!r}", f"nearest key: {near[0]!r}"
