"""Logistic regression on what the frozen stages see: the smallest honest model."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from train.fitting.bank import CHUNK, Bank
from train.fitting.fit import Fitted
from train.fitting.svc import describe
from train.fitting.task import TrainingData
from train.fitting.trained import with_weights
from train.nets.models import Network
from train.recipe import Recipe

MAX_ROUNDS = 1000


def fit_logistic(start: Network, data: TrainingData, recipe: Recipe) -> Fitted:
    """Fit the last layer, and nothing else, on the average of the explained map of every view.

    The problem is convex, so there is one answer. The scale of each value is folded into the
    weights; the weights of the bank say how much each frame counts. `train.rules` sees to it that
    the head is an average and one linear layer.

    Returns
    -------
    the network, and one row in which the losses are cross-entropies
    """
    bank = data.bank
    began_s = time.monotonic()
    places = bank.chosen()
    values = _pooled(start, bank, places)
    views = bank.views.shape[1]
    labels = bank.labels[places].repeat_interleave(views).numpy()
    weights = (bank.weights[places] / bank.weights[places].mean() / views).repeat_interleave(views)
    scaler = StandardScaler().fit(values)
    found = LogisticRegression(C=recipe.inverse_penalty, max_iter=MAX_ROUNDS).fit(
        scaler.transform(values), labels, sample_weight=weights.numpy()
    )
    coefficients, offset = found.coef_, found.intercept_
    if len(recipe.classes) == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        offset = np.concatenate([-offset, offset]) / 2
    scaled = coefficients / scaler.scale_
    fitted = {"weight": scaled, "bias": offset - scaled @ scaler.mean_}
    network = with_weights(
        start, {f"head.last.{k}": torch.from_numpy(v).float() for k, v in fitted.items()}
    )
    return Fitted(network, [describe(network, data) | {"seconds": time.monotonic() - began_s}])


@torch.no_grad()
def _pooled(network: Network, bank: Bank, places: Tensor) -> NDArray[np.float32]:
    """Return the averages of the explained map, shape (len(places) * V, K)."""
    parts = []
    for chunk in places.split(CHUNK):
        maps = network.tail(bank.views[chunk].flatten(0, 1).float())
        parts.append(maps.mean((2, 3)).numpy())
    return np.concatenate(parts)
