"""Training batches. An epoch's batches depend on the seed and its number, on nothing else.

So a resumed training goes on as if it had not stopped, and each of several processes can work out
the whole batch and take its share of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from train.fitting.augment import augment
from train.fitting.bank import Bank, pool_masks
from train.fitting.ranks import ALONE, Rank
from train.recipe import Recipe

BITS = 62


class Batch(NamedTuple):
    """The n items that a process has of a batch of N.

    Parameters
    ----------
    views : shape (n, c, h, w), float16 or float32
    targets : shape (n, C), rows sum to 1
    masks : shape (n, h', w'), uint8, or empty
    shares : shape (n,), 1/N; 0 for an item that only stands in for a share of nothing
    found : shape (n,), 1 / (findings in the whole batch) for items with a finding, else 0
    places : shape (n,), places in the whole batch
    size : N
    """

    views: Tensor
    targets: Tensor
    masks: Tensor
    shares: Tensor
    found: Tensor
    places: Tensor
    size: int


def mix_seed(*parts: int) -> int:
    """Return one seed made of several numbers; close numbers give unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


class Draws(IterableDataset[Batch]):
    """The batches of one epoch.

    With `recipe.draws` that many frames by the bank's weights, with replacement; without it every
    frame of the part once, shuffled. The last batch may be smaller. Each process gets every W-th
    item of a batch. Of stored views one is chosen at random; of frames a new view is made, the
    same whichever process or worker makes it.

    Parameters
    ----------
    bank : what to draw from
    recipe : how
    classes : number of logits
    epoch : number of the epoch, from 0
    rank : which of several processes this one is
    """

    def __init__(
        self, bank: Bank, recipe: Recipe, classes: int, epoch: int = 0, rank: Rank = ALONE
    ) -> None:
        self.bank, self.recipe, self.classes, self.rank = bank, recipe, classes, rank
        generator = Generator().manual_seed(mix_seed(recipe.seed, 1, epoch))
        self.frames = _draw_frames(bank, recipe.draws, generator)
        count = len(self.frames)
        self.views = torch.randint(bank.views.shape[1], (count,), generator=generator)
        self.seeds = torch.randint(2**BITS, (count,), generator=generator)
        mixing = np.random.default_rng(mix_seed(recipe.seed, 2, epoch))
        alpha = recipe.mixup
        self.mixed = mixing.beta(alpha, alpha, len(self)) if alpha else np.ones(len(self))

    def __len__(self) -> int:
        return -(-len(self.frames) // self.recipe.batch)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        return (self.make(number) for number in islice(range(len(self)), first, None, step))

    def make(self, number: int) -> Batch:
        """Return this process's share of batch `number`."""
        start = number * self.recipe.batch
        whole = torch.arange(start, min(start + self.recipe.batch, len(self.frames)))
        mine = whole[self.rank.place :: self.rank.world]
        shares = torch.full((len(mine),), 1 / len(whole))
        if not len(mine):
            mine, shares = whole[:1], torch.zeros(1)
        views, masks = self._mix(mine, whole, float(self.mixed[number]))
        finding = self._has_finding(whole).float() / self._has_finding(whole).sum().clamp_min(1)
        places = mine - start
        return Batch(
            views,
            self._mix_targets(mine, whole, float(self.mixed[number])),
            masks,
            shares,
            finding[places] * (shares > 0),
            places,
            len(whole),
        )

    def _mix(self, mine: Tensor, whole: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Return views, mixed with those of the batch in reverse order, and unmixed masks."""
        if share == 1:
            return self._make_views(mine)
        wanted, back = torch.cat([mine, _opposite(mine, whole)]).unique(return_inverse=True)
        views, masks = self._make_views(wanted)
        own, other = back[: len(mine)], back[len(mine) :]
        mixed = share * views[own].float() + (1 - share) * views[other].float()
        return mixed, masks[own] if masks.numel() else masks

    def _mix_targets(self, mine: Tensor, whole: Tensor, share: float) -> Tensor:
        labels = self.bank.labels[self.frames]
        own, other = (
            functional.one_hot(labels[items], self.classes).float()
            for items in (mine, _opposite(mine, whole))
        )
        return share * own + (1 - share) * other

    def _make_views(self, items: Tensor) -> tuple[Tensor, Tensor]:
        frames, views, masks = self.frames[items], self.views[items], self.bank.masks
        if not self.recipe.whole:
            stored = self.bank.views[frames, views]
            return stored, masks[frames, views] if masks.numel() else masks
        planes = self.bank.views[frames, 0].float()
        if masks.numel():
            planes = torch.cat([planes, masks[frames].float()], 1)
        made = torch.cat([self._change(*item) for item in zip(planes, items, strict=True)])
        return made[:, :3], pool_masks(made[:, 3:])[:, 0] if masks.numel() else masks

    def _change(self, planes: Tensor, item: Tensor) -> Tensor:
        """Return a new view (1, 3 or 4, H, W); each item has a seed of its own."""
        generator = Generator().manual_seed(int(self.seeds[item]))
        return augment(planes[None], self.recipe.augment, generator)

    def _has_finding(self, items: Tensor) -> Tensor:
        if not self.bank.masks.numel():
            return torch.zeros(len(items))
        masks = self.bank.masks[self.frames[items], self.views[items]]
        return masks.flatten(1).amax(1) > 127


def _draw_frames(bank: Bank, draws: int, generator: Generator) -> Tensor:
    if draws:
        return torch.multinomial(bank.weights, draws, replacement=True, generator=generator)
    chosen = bank.chosen()
    return chosen[torch.randperm(len(chosen), generator=generator)]


def _opposite(items: Tensor, whole: Tensor) -> Tensor:
    """Return for each item the one at the same place from the end of the whole batch."""
    return whole[0] + whole[-1] - items


def feed(draws: Draws, workers: int) -> Draws | DataLoader[Batch]:
    """Return the batches, made ahead by `workers` processes in the same order; by none for 0."""
    if not workers:
        return draws
    return DataLoader(draws, batch_size=None, num_workers=workers, pin_memory=False)
