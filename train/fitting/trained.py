"""A network while it is trained: which part changes, in which mode, and how well it does."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from train.fitting.bank import CHUNK, Bank
from train.fitting.losses import count_right, label_loss
from train.nets.models import Network
from train.recipe import Recipe


class SharedDropout(nn.Module):
    """Dropout that is the same for an item whichever process it is in.

    Every process draws the mask of the whole batch and takes the rows of its items.

    Parameters
    ----------
    share : probability of zero
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.generator = share, Generator()
        self.places, self.size = torch.empty(0, dtype=torch.int64), 0

    def forward(self, values: Tensor) -> Tensor:
        """Return values (n, D), some set to zero and the others scaled, while training."""
        if not self.training or not self.share:
            return values
        chance = torch.rand((self.size, values.shape[1]), generator=self.generator)
        kept = (chance >= self.share)[self.places.cpu()].to(values.device)
        return values * kept / (1 - self.share)


def trained_names(network: Network) -> set[str]:
    """Return the names of all tensors that training changes, running statistics included."""
    frozen = {
        id(tensor)
        for part in network.body.fixed()
        for tensor in part.state_dict(keep_vars=True).values()
    }
    state = network.state_dict(keep_vars=True)
    return {name for name, tensor in state.items() if id(tensor) not in frozen}


def read_weights(network: Network, names: Iterable[str]) -> dict[str, Tensor]:
    """Return copies of some of a network's tensors, on the CPU."""
    state = network.state_dict()
    return {name: state[name].cpu().contiguous().clone() for name in sorted(names)}


def with_weights(start: Network, weights: dict[str, Tensor]) -> Network:
    """Return a copy of `start` with other weights, in inference mode."""
    network = copy.deepcopy(start)
    network.load_state_dict(weights, strict=False)
    return network.eval()


def set_modes(network: Network, recipe: Recipe) -> None:
    """Switch to training; what is frozen, and the norms if so told, stay as in inference."""
    network.train()
    if not recipe.tune_norms:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def average_of(network: Network, decay: float) -> AveragedModel:
    """Return what keeps the exponential average of a network's weights and statistics."""
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return averaged.requires_grad_(False)


@torch.no_grad()
def measure(network: Network, bank: Bank, groups: int) -> Tensor:
    """Return the mean cross-entropy and the accuracy on view 0 of a part, float64.

    Parameters
    ----------
    network : in inference mode
    groups : number of regions whose classes the network tells apart, 1 for none
    """
    device = next(network.parameters()).device
    sums = torch.zeros(2, dtype=torch.float64)
    places = bank.chosen()
    for chosen in places.split(CHUNK):
        views = bank.views[chosen, 0].to(device).float()
        logits = network.head.logits(network.tail(views)).cpu()
        targets = nn.functional.one_hot(bank.labels[chosen], logits.shape[1]).float()
        right = count_right(logits, targets, groups)
        sums += torch.stack([label_loss(logits, targets, groups).sum().double(), right.sum()])
    return sums / len(places)
