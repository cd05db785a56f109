"""Stored views: what the frozen stages make of every training frame, worked out once.

The leading stages keep their ImageNet weights, so their output does not change between epochs or
folds. Storing it for several augmented views of each frame makes an epoch about four times faster
on a CPU than running the whole network, and lets all folds share the work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn.functional import adaptive_avg_pool2d

from train.augment import augment
from train.models import Classifier
from train.recipe import Recipe

CHUNK = 32
FINE_STRIDE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Outputs of the frozen stages.

    Parameters
    ----------
    views : shape (M, V, c, h, w), float16; view 0 of each of the M frames is unchanged
    labels : shape (M,), class indices
    weights : shape (M,), how often to draw each frame
    masks : shape (M, V, h', w'), uint8, share of each map cell that shows the finding, or empty
    """

    views: Tensor
    labels: Tensor
    weights: Tensor
    masks: Tensor

    def part(self, places: Sequence[int], weights: NDArray[np.float64]) -> Bank:
        """Return the frames at `places`, in that order, drawn by `weights`; views are shared."""
        chosen = torch.as_tensor(places)
        spread = torch.zeros(len(self.labels), dtype=torch.float64)
        spread[chosen] = torch.from_numpy(weights)
        return dataclasses.replace(self, weights=spread)


def build_bank(
    model: Classifier,
    inputs: NDArray[np.uint8],
    labels: Sequence[int],
    recipe: Recipe,
    masks: NDArray[np.uint8] | None = None,
) -> Bank:
    """Run the frozen stages over every view of every frame.

    Parameters
    ----------
    inputs : shape (M, H, W, 3), uint8 RGB
    masks : shape (M, H, W), uint8, 255 on the finding; None when unknown
    """
    generator = Generator().manual_seed(recipe.seed)
    side = recipe.input_px // FINE_STRIDE
    maps, shares = [], []
    for start in range(0, len(inputs), CHUNK):
        frames = to_planes(inputs[start : start + CHUNK])
        if masks is not None:
            frames = torch.cat(
                [frames, torch.from_numpy(masks[start : start + CHUNK])[:, None].float()], 1
            )
        views = [frames] + [
            augment(frames, recipe.augment, generator) for _ in range(recipe.views - 1)
        ]
        exact = run_stem(model, frames[:, :3])
        rough = [run_stem(model, view[:, :3], rough=True) for view in views[1:]]
        maps.append(torch.stack([exact, *rough], 1))
        pooled = [adaptive_avg_pool2d(view[:, 3:], side).round().byte() for view in views]
        shares.append(torch.cat(pooled, 1))
    weights = torch.ones(len(labels), dtype=torch.float64)
    return Bank(torch.cat(maps), torch.as_tensor(labels), weights, torch.cat(shares))


def to_planes(inputs: NDArray[np.uint8]) -> Tensor:
    """Return model inputs (N, H, W, 3) as float planes (N, 3, H, W) in 0..255."""
    return torch.from_numpy(inputs).permute(0, 3, 1, 2).float()


@torch.no_grad()
def run_stem(model: Classifier, frames: Tensor, rough: bool = False) -> Tensor:
    """Return the float16 output of the frozen stages for frames (N, 3, H, W) in 0..255.

    Parameters
    ----------
    rough : True to compute in bfloat16, which is three times faster and good enough to train on
    """
    model.eval()
    with torch.autocast("cpu", torch.bfloat16, enabled=rough):
        return model.stem(frames.contiguous(memory_format=torch.channels_last)).half()


def draw_weights(labels: Sequence[int], sources: Sequence[str]) -> NDArray[np.float64]:
    """Return weights by which each class, and within it each clip, is drawn equally often.

    Returns
    -------
    shape (M,), summing to 1
    """
    clips = list(zip(labels, sources, strict=True))
    frames_of = {clip: clips.count(clip) for clip in set(clips)}
    clips_of = {label: sum(1 for clip in frames_of if clip[0] == label) for label in set(labels)}
    each = [1.0 / (frames_of[clip] * clips_of[clip[0]] * len(clips_of)) for clip in clips]
    return np.asarray(each)


class Draws:
    """Training batches of random views, the same in every run with the same seed.

    Each iteration is one epoch and goes on from where the last one stopped.
    """

    def __init__(self, bank: Bank, recipe: Recipe) -> None:
        self.bank, self.recipe = bank, recipe
        self.generator = Generator().manual_seed(recipe.seed + 1)

    def __len__(self) -> int:
        return self.recipe.draws // self.recipe.batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        size, count = self.recipe.batch, len(self) * self.recipe.batch
        frames = torch.multinomial(
            self.bank.weights, count, replacement=True, generator=self.generator
        )
        views = torch.randint(self.bank.views.shape[1], (count,), generator=self.generator)
        for start in range(0, count, size):
            batch = frames[start : start + size]
            view = views[start : start + size]
            masks = self.bank.masks[batch, view] if self.bank.masks.numel() else self.bank.masks
            yield self.bank.views[batch, view].float(), self.bank.labels[batch], masks
