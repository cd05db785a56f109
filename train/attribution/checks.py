"""Two checks that every map is shown with: faithfulness and dependence on the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from train.attribution.maps import Attribution, Checks, is_flat
from train.attribution.methods import LINE_STEPS, explain
from train.attribution.question import Explained, at_rest, to_frames

PATCHES = 14
"""Patches along a side. All maps and random orders are compared patch by patch: single pixels
taken out at random disturb a network more than any connected finding, so that a coarse map would
look worse than chance."""
STEPS = 14
ORDERS = 5
BATCH = 16
BLUR = 1 / 16
"""Standard deviation of the blur that insertion starts from, as a share of the side."""


def check(
    network: Explained,
    frame: NDArray[np.uint8],
    target: int,
    attributions: Mapping[str, Attribution],
    seed: int,
) -> dict[str, Checks]:
    """Return what both checks say about each map of one frame.

    Parameters
    ----------
    frame : shape (H, W, 3), uint8 RGB, model input
    target : index of the logit that was explained
    attributions : by method, as `train.attribution.methods.explain` returned them
    seed : of random orders and shuffled weights; should be the one given to `explain`
    """
    chance = random_orders(network, frame, target, seed)
    sanity = randomised_weights(network, frame, target, attributions, seed)
    found = {}
    for name, attribution in attributions.items():
        areas = deletion_insertion(network, frame, attribution.map, target)
        deletion, insertion = areas or (None, None)
        found[name] = Checks(deletion, insertion, *chance, sanity[name])
    return found


def deletion_insertion(
    network: Explained,
    frame: NDArray[np.uint8],
    values: NDArray[np.float32],
    target: int,
    steps: int = STEPS,
) -> tuple[float, float] | None:
    """Return the areas under the deletion and the insertion curve of a map.

    Patches are taken from the highest value to the lowest, equal ones at random. Deletion turns
    them black, insertion restores them in a blurred frame; the curves are the probability of the
    target.

    Parameters
    ----------
    frame : shape (H, W, 3), uint8 RGB, model input
    values : shape (H, W)
    steps : equal parts in which the patches are taken

    Returns
    -------
    areas in [0, 1]; None for a flat map, which orders nothing

    References
    ----------
    Petsiuk et al., "RISE", BMVC 2018, section 4.3 (there by single pixels).
    """
    if is_flat(values):
        return None
    place = _patches(frame.shape[:2])
    means = np.bincount(place.ravel(), values.ravel().astype(np.float64)) / np.bincount(
        place.ravel()
    )
    chance = np.random.default_rng(0).permutation(PATCHES**2)
    order = chance[np.argsort(-means[chance], kind="stable")]
    return _areas(network, frame, order, target, steps)


def random_orders(
    network: Explained, frame: NDArray[np.uint8], target: int, seed: int, steps: int = STEPS
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return deletion areas and insertion areas of random orders of the patches."""
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(PATCHES**2) for _ in range(ORDERS)]
    areas = [_areas(network, frame, order, target, steps) for order in orders]
    deletions, insertions = zip(*areas, strict=True)
    return deletions, insertions


def _patches(shape_hw: tuple[int, ...]) -> NDArray[np.int64]:
    """Return for each pixel the number of its patch."""
    rows, columns = (np.arange(side) * PATCHES // side for side in shape_hw)
    return rows[:, None] * PATCHES + columns[None]


def _areas(
    network: Explained,
    frame: NDArray[np.uint8],
    order: NDArray[np.int64],
    target: int,
    steps: int,
) -> tuple[float, float]:
    rank = np.argsort(order)[_patches(frame.shape[:2])]
    limits = np.linspace(0, PATCHES**2, steps + 1)
    taken = (rank[None] < limits[:, None, None])[..., None]
    blurred = cv2.GaussianBlur(frame, (0, 0), frame.shape[1] * BLUR)
    series = np.where(taken, np.uint8(0), frame), np.where(taken, frame, blurred)
    scores = _probabilities(network, np.concatenate(series), target).reshape(2, -1)
    deletion, insertion = np.trapezoid(scores, dx=1 / steps, axis=1)
    return float(deletion), float(insertion)


@torch.no_grad()
def _probabilities(
    network: Explained, frames: NDArray[np.uint8], target: int
) -> NDArray[np.float64]:
    with at_rest(network):
        found = [
            network(to_frames(network, frames[start : start + BATCH])).softmax(1)[:, target]
            for start in range(0, len(frames), BATCH)
        ]
    return torch.cat(found).cpu().double().numpy()


def randomised_weights(
    network: Explained,
    frame: NDArray[np.uint8],
    target: int,
    attributions: Mapping[str, Attribution],
    seed: int,
) -> dict[str, float | None]:
    """Return how much each map resembles that of the same network without what it learned.

    All weights are shuffled at once, each tensor in itself. A method whose map stays the same shows
    the frame, not the network.

    Returns
    -------
    by method, the larger of the rank correlations of values and of magnitudes; None where one of
    the maps is flat

    References
    ----------
    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, section 3.
    """
    shuffled = shuffle_weights(network, frame, seed)
    others = explain(shuffled, frame, target, list(attributions), seed, LINE_STEPS[:1])
    return {
        name: rank_correlation(attribution.map, others[name].map)
        for name, attribution in attributions.items()
    }


def rank_correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float | None:
    """Return the larger of Spearman's correlations of values and of magnitudes of two maps."""
    pairs = ((one, other), (np.abs(one), np.abs(other)))
    found = [
        float(spearmanr(a.ravel(), b.ravel()).statistic)
        for a, b in pairs
        if not (is_flat(a) or is_flat(b))
    ]
    return max(found, default=None)


@torch.no_grad()
def shuffle_weights(network: Explained, frame: NDArray[np.uint8], seed: int) -> Explained:
    """Return a copy whose weights changed places within each tensor.

    Unlike weights drawn anew, they keep their spread, so that signals neither vanish nor explode.
    Batch normalisation takes its statistics from the frame and its mirrors.
    """
    shuffled = copy.deepcopy(network).eval()
    generator = torch.Generator().manual_seed(seed)
    for weights in shuffled.parameters():
        order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
        weights.copy_(weights.flatten()[order].view_as(weights))
    norms = [
        part for part in shuffled.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = 1.0
        norm.train()
    shuffled(_mirrors(to_frames(shuffled, frame)))
    return shuffled.eval()


def _mirrors(frames: Tensor) -> Tensor:
    return torch.cat([frames, frames.flip(2), frames.flip(3), frames.flip(2, 3)])
