"""A linear support vector machine as the last layer of a network."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import SVC

from train.fitting.bank import CHUNK, Bank
from train.fitting.fit import Fitted
from train.fitting.task import TrainingData
from train.fitting.trained import measure, with_weights
from train.nets.models import Network
from train.recipe import Recipe


def fit_svc(start: Network, data: TrainingData, recipe: Recipe) -> Fitted:
    """Fit a linear support vector machine on the flattened maps of the unchanged frames.

    `train.rules` sees to it that the head is the flattened map and one unit.

    The machine's decision value becomes the single unit z of the head, so its logits are -z/2 and
    z/2; the probabilities mean nothing before the temperature is fitted. Products of maps are
    worked out once, by matrix multiplication, which takes a fraction of the time of the library's
    own loop.

    Returns
    -------
    the network, and one row in which the losses are cross-entropies

    References
    ----------
    Cortes and Vapnik, "Support-Vector Networks", Machine Learning 20, 1995.
    """
    began_s = time.monotonic()
    maps = _flat_maps(start, data.bank)
    positive = (data.bank.labels[data.bank.chosen()] == recipe.positive).numpy()
    balance = "balanced" if recipe.class_weights else None
    machine = SVC(C=recipe.inverse_penalty, kernel="precomputed", class_weight=balance)
    machine.fit(maps @ maps.T, positive)
    row = torch.from_numpy(machine.dual_coef_ @ maps[machine.support_]).float()
    bias = torch.from_numpy(machine.intercept_).float()
    network = with_weights(start, {"head.last.weight": row, "head.last.bias": bias})
    return Fitted(network, [describe(network, data) | {"seconds": time.monotonic() - began_s}])


@torch.no_grad()
def _flat_maps(network: Network, bank: Bank) -> NDArray[np.float64]:
    """Return the pooled and flattened maps of view 0, shape (M, D)."""
    side, parts = network.head.plan.max_pool, []
    for chosen in bank.chosen().split(CHUNK):
        maps = network.tail(bank.views[chosen, 0].float())
        pooled = torch.nn.functional.max_pool2d(maps, side) if side > 1 else maps
        parts.append(pooled.flatten(1).double().numpy())
    return np.concatenate(parts)


def describe(network: Network, data: TrainingData) -> dict[str, float]:
    """Return the row of a training of one step: losses and accuracies of both parts."""
    row: dict[str, float] = {"epoch": 1}
    for part, bank in (("train", data.bank), ("val", data.validation)):
        if bank:
            row[f"{part}_loss"], row[f"{part}_accuracy"] = measure(network, bank, 1).tolist()
    return row
