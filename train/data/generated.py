"""Frames of the phantom with their truth, as training or test data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from engines.preprocess import to_model_input
from stream.sources.phantom import PhantomScene, PhantomSpec, parse_phantom
from train.data.samples import Sample
from train.recipe import PhantomSet, Recipe

FIRST_SEEDS = {"train": 0, "validation": 1_000_000, "test": 2_000_000}
"""Where the seeds of each part begin; a part never holds a million clips."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Generated frames as model inputs.

    Parameters
    ----------
    samples : N samples
    inputs : shape (N, h, w, 3), uint8 RGB
    masks : shape (N, h, w), uint8, 255 on the finding, in the same place as in `inputs`
    """

    samples: tuple[Sample, ...]
    inputs: NDArray[np.uint8]
    masks: NDArray[np.uint8]


def draw_part(recipe: Recipe, phantom: PhantomSet, part: str) -> Part:
    """Render the clips of one part of the data.

    Findings alternate from seed to seed, so classes are balanced over clips. A frame is of the
    clip's class when its mask is not empty, and of the first class otherwise: a dilated pelvis
    out of the plane is not seen, and nobody could call it. Frames of one clip with different
    labels count as two clips in the figures.
    """
    findings = recipe.classes
    count = {"train": phantom.train, "validation": phantom.validation, "test": phantom.test}[part]
    samples, inputs, masks = [], [], []
    for number in range(count):
        seed = FIRST_SEEDS[part] + number
        finding = findings[number % len(findings)]
        spec = parse_phantom(f"phantom:{phantom.organ}?seed={seed}&finding={finding}")
        for index, image, mask in clip_frames(spec, phantom.frames_per_clip):
            seen = finding if mask.any() else findings[0]
            samples.append(
                Sample(spec.uri, index, findings.index(seen), f"seed {seed}", part, spec.uri)
            )
            inputs.append(fitted(image, recipe))
            masks.append(fitted(mask.astype(np.uint8) * 255, recipe)[..., 0])
    return Part(tuple(samples), np.stack(inputs), np.stack(masks))


def clip_frames(
    spec: PhantomSpec, count: int
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Yield number, picture (H, W) and mask (H, W) of `count` evenly spaced frames of a clip."""
    scene = PhantomScene(spec)
    for index in np.linspace(0, spec.frame_count - 1, count + 2).round().astype(int)[1:-1].tolist():
        image, mask = scene.frame(index)
        yield index, image, mask


def other_inputs(
    recipe: Recipe, organs: Sequence[str], clips: int, first_seed: int
) -> NDArray[np.uint8]:
    """Return model inputs of other organs, one frame per clip, shape (N, h, w, 3)."""
    frames = []
    for organ in organs:
        for number in range(clips):
            spec = parse_phantom(f"phantom:{organ}?seed={first_seed + number}")
            frames += [fitted(image, recipe) for _, image, _ in clip_frames(spec, 1)]
    side = recipe.input_px
    return np.stack(frames) if frames else np.empty((0, side, side, 3), np.uint8)


def fitted(image: NDArray[np.uint8], recipe: Recipe) -> NDArray[np.uint8]:
    """Return model input (h, w, 3) of a grey or RGB picture."""
    return to_model_input(Pixels((image,)), (recipe.input_px, recipe.input_px), recipe.fit)
