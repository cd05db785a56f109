"""From what a person gives to frames, parts and a clean bill: everything before the training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from train.audit import find_copies, find_leaks, refuse_leaks
from train.data.generated import FIRST_SEEDS, draw_part
from train.data.loader import load_inputs
from train.data.samples import Sample, check_folds, read_frames, regroup
from train.data.split import LEFT_OUT, Parts, draw_parts
from train.recipe import PhantomSet, Recipe

Say = Callable[[str], None]

FOLDS_APART = (
    "Each published fold is tested by a model trained on the others without any frame of a person, "
    "clip or near-copy that is in the tested fold. Temperatures for these figures are fitted on "
    "the other folds' held-out frames. The recipe's settings were chosen on these same folds."
)
FOLDS_AS_THEY_ARE = (
    "Each published fold is tested by a model trained on the others as they are; people may be on "
    "both sides. Temperatures for these figures are fitted on the other folds' held-out frames. "
    "The recipe's settings were chosen on these same folds."
)
GENERATED = (
    "Generated clips; training, validation and test use different seeds. "
    "Figures are of the test seeds. A clip whose finding comes and goes counts once per label."
)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Frames ready to be trained on.

    Parameters
    ----------
    samples : N samples; near-copies share a group where they must be kept apart
    inputs : shape (N, h, w, 3), uint8 RGB, at model size
    masks : shape (N, h, w), uint8, 255 on the finding, or None when unknown
    parts : N names of parts, or of folds
    rule : how frames are held out, in words
    leaks : what is on both sides although it should not be, in words; empty for a clean split
    """

    samples: tuple[Sample, ...]
    inputs: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None
    parts: NDArray[np.str_]
    rule: str
    leaks: tuple[str, ...] = ()

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index of each frame."""
        return np.array([sample.label for sample in self.samples])

    def places(self, part: str) -> NDArray[np.int64]:
        """Return the places of the frames of a part."""
        return np.flatnonzero(self.parts == part)

    @property
    def left_out(self) -> dict[str, int]:
        """Frames that are neither trained on nor tested, if any."""
        count = int((self.parts == LEFT_OUT).sum())
        return {"all": count} if count else {}


def read_samples(recipe: Recipe, data: Path) -> list[Sample]:
    """Return the labelled samples of a table or folder.

    Raises
    ------
    UsageError
        C01 to C05 as in `train.data.samples.read_frames`, C02 when a cascade's frame has no known
        region.
    """
    samples = read_frames(data, recipe.classes, recipe.layout)
    if recipe.regions:
        strange = sorted({sample.region for sample in samples} - set(recipe.regions))
        if strange:
            raise UsageError(
                data.name,
                f"regions {strange}",
                f"expected {', '.join(recipe.regions)}",
                fault="C02",
            )
    return samples


def prepare_samples(
    recipe: Recipe, samples: list[Sample], cache: Path, allow_leak: bool, say: Say
) -> Prepared:
    """Hold frames apart, look for leaks, and decode every frame once.

    Raises
    ------
    UsageError
        C04 for a leaking split that is not allowed, C05 for parts that lack a class.
    SourceError
        If a frame cannot be decoded.
    """
    copies = find_copies(samples)
    say(f"{len(samples)} frames, {len(copies)} pairs of copies or near-copies")
    if recipe.split.by == "group":
        samples = regroup(samples, [(copy.a, copy.b) for copy in copies])
    parts = _divide(recipe, samples)
    leaks = _find_leaks(recipe, samples, parts, copies)
    refuse_leaks(recipe.name, leaks, allow_leak)
    inputs = load_inputs(samples, (recipe.input_px, recipe.input_px), recipe.fit, cache)
    said = tuple(str(leak) for leak in leaks)
    return Prepared(tuple(samples), inputs, None, parts.names, parts.rule, said)


def prepare_phantom(recipe: Recipe, phantom: PhantomSet) -> Prepared:
    """Render the clips of all parts."""
    drawn = {name: draw_part(recipe, phantom, name) for name in FIRST_SEEDS}
    return Prepared(
        tuple(sample for part in drawn.values() for sample in part.samples),
        np.concatenate([part.inputs for part in drawn.values()]),
        np.concatenate([part.masks for part in drawn.values()]),
        np.concatenate([np.full(len(part.samples), name) for name, part in drawn.items()]),
        GENERATED,
    )


def _divide(recipe: Recipe, samples: list[Sample]) -> Parts:
    if recipe.split.kind != "folds":
        return draw_parts(recipe.name, samples, recipe.split, recipe.seed)
    check_folds(recipe.name, samples, recipe.classes)
    rule = FOLDS_APART if recipe.split.by == "group" else FOLDS_AS_THEY_ARE
    return Parts(np.array([sample.fold for sample in samples]), rule)


def _find_leaks(recipe: Recipe, samples: list[Sample], parts: Parts, copies: list) -> list:
    """Return the leaks between parts; folds that are kept apart by group cannot leak."""
    if recipe.split.kind == "folds" and recipe.split.by == "group":
        return []
    kept = [place for place, part in enumerate(parts.names) if part != LEFT_OUT]
    return find_leaks(samples, copies, parts.names.tolist(), kept)
