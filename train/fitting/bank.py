"""Stored views: what the frozen part of a network makes of every training frame, worked out once.

The frozen part keeps its weights, so its output does not change between epochs or folds. Storing
it for several augmented views of each frame makes an epoch several times faster, and lets all
folds share the work. A bank takes 2 c h w bytes of memory per view: MobileNetV2's first stages at
224 px 50 kB, InceptionV3 at 256 px 147 kB. Where nothing is frozen it holds the frames themselves,
3 H W bytes each, and `train.fitting.draws` makes the views.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn.functional import adaptive_avg_pool2d

from train.fitting.augment import augment
from train.fitting.ranks import fast_device
from train.nets.models import Network
from train.recipe import Recipe

CHUNK = 32
FINE_STRIDE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Outputs of the stem for M frames, or the frames themselves where nothing is frozen.

    Parameters
    ----------
    views : shape (M, V, c, h, w), float16; view 0 of each of the M frames is unchanged.
        Where nothing is frozen shape (M, 1, 3, H, W), uint8
    labels : shape (M,), class indices
    weights : shape (M,), how often to draw each frame; frames with 0 are not of this part
    masks : shape (M, V, h', w'), uint8, share of each map cell that shows the finding;
        at full size where nothing is frozen; empty when unknown
    digest : sha256 of the frames and masks
    """

    views: Tensor
    labels: Tensor
    weights: Tensor
    masks: Tensor
    digest: str

    def part(self, places: Sequence[int], weights: NDArray[np.float64]) -> Bank:
        """Return the frames at `places`, drawn by `weights` (above 0); views are shared."""
        chosen = torch.as_tensor(places)
        spread = torch.zeros(len(self.labels), dtype=torch.float64)
        spread[chosen] = torch.from_numpy(weights)
        return dataclasses.replace(self, weights=spread)

    def chosen(self) -> Tensor:
        """Return the places of the frames of this part, ascending."""
        return self.weights.nonzero().flatten()


def build_bank(
    network: Network,
    inputs: NDArray[np.uint8],
    labels: Sequence[int],
    recipe: Recipe,
    masks: NDArray[np.uint8] | None = None,
) -> Bank:
    """Run the stem over every view of every frame, on the GPU if there is one.

    Parameters
    ----------
    inputs : shape (M, H, W, 3), uint8 RGB
    masks : shape (M, H, W), uint8, 255 on the finding; None when unknown
    """
    digest = hashlib.sha256(np.ascontiguousarray(inputs).data)
    if masks is not None:
        digest.update(np.ascontiguousarray(masks).data)
    views, shares = (
        (torch.from_numpy(inputs.copy()).permute(0, 3, 1, 2)[:, None], _keep_masks(masks))
        if recipe.whole
        else _store(network, inputs, recipe, masks)
    )
    weights = torch.ones(len(labels), dtype=torch.float64)
    return Bank(views, torch.as_tensor(labels), weights, shares, digest.hexdigest())


def _keep_masks(masks: NDArray[np.uint8] | None) -> Tensor:
    if masks is None:
        return torch.empty(0, dtype=torch.uint8)
    return torch.from_numpy(masks.copy())[:, None]


def _store(
    network: Network, inputs: NDArray[np.uint8], recipe: Recipe, masks: NDArray[np.uint8] | None
) -> tuple[Tensor, Tensor]:
    """Return stored views and pooled masks; memory is taken once, when the size is known."""
    home = next(network.parameters()).device
    network.to(fast_device())
    stored, shares = torch.empty(0), []
    for start, views in _make_views(inputs, recipe, masks):
        maps = [run_stem(network, view[:, :3], rough=place > 0) for place, view in enumerate(views)]
        if not start:
            shape = (len(inputs), len(maps), *maps[0].shape[1:])
            stored = torch.empty(shape, dtype=torch.float16)
        torch.stack(maps, 1, out=stored[start : start + CHUNK])
        shares.append(torch.cat([pool_masks(view[:, 3:]) for view in views], 1))
    network.to(home)
    return stored, torch.cat(shares)


def _make_views(
    inputs: NDArray[np.uint8], recipe: Recipe, masks: NDArray[np.uint8] | None
) -> Iterator[tuple[int, list[Tensor]]]:
    """Yield each chunk's first place and its views, (N, 3 or 4, H, W), the first one unchanged."""
    generator = Generator().manual_seed(recipe.seed)
    for start in range(0, len(inputs), CHUNK):
        frames = to_planes(inputs[start : start + CHUNK])
        if masks is not None:
            mask = torch.from_numpy(masks[start : start + CHUNK].astype(np.float32))[:, None]
            frames = torch.cat([frames, mask], 1)
        changed = [augment(frames, recipe.augment, generator) for _ in range(recipe.views - 1)]
        yield start, [frames, *changed]


def pool_masks(masks: Tensor) -> Tensor:
    """Return masks (N, 1, H, W) as shares of cells at an eighth of the side, uint8."""
    return adaptive_avg_pool2d(masks, masks.shape[2] // FINE_STRIDE).round().byte()


def to_planes(inputs: NDArray[np.uint8]) -> Tensor:
    """Return model inputs (N, H, W, 3) as float planes (N, 3, H, W) in 0..255."""
    return torch.from_numpy(inputs.astype(np.float32)).permute(0, 3, 1, 2)


@torch.no_grad()
def run_stem(network: Network, frames: Tensor, rough: bool = False) -> Tensor:
    """Return the float16 output of the stem for frames (N, 3, H, W) in 0..255, on the CPU.

    Parameters
    ----------
    rough : True to compute in bfloat16, which is three times faster and good enough to train on
    """
    network.eval()
    device = next(network.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=rough):
        moved = frames.to(device).contiguous(memory_format=torch.channels_last)
        return network.stem(moved).half().cpu()


def draw_weights(labels: Sequence[int], sources: Sequence[str]) -> NDArray[np.float64]:
    """Return weights by which each class, and within it each clip, is drawn equally often.

    Returns
    -------
    shape (M,), summing to 1
    """
    clips = list(zip(labels, sources, strict=True))
    frames_of = Counter(clips)
    clips_of = Counter(label for label, _ in frames_of)
    each = [1.0 / (frames_of[clip] * clips_of[clip[0]] * len(clips_of)) for clip in clips]
    return np.asarray(each)
