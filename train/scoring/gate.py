"""Statistics by which a model tells pictures that are unlike its training data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.spec import Gate
from train.nets.models import measure_texture

QUANTILE = 0.99
MARGIN = 1.5
FLOOR_SHARE = 0.1
UNCOUNTED = 1e6
CHUNK = 256

RULE = (
    "texture of the first stages only; centre and scale over training views; "
    f"limit {MARGIN} times the {QUANTILE:.0%} quantile of the distance of {{where}}"
)


class Statistics(NamedTuple):
    """Mean and floored standard deviation of each texture channel, shape (c,) each."""

    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def distance(self, textures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the root mean square z-score of textures (M, c), shape (M,)."""
        return np.asarray(
            np.sqrt(np.mean(np.square((textures - self.center) / self.scale), axis=1))
        )


def read_textures(views: Tensor) -> NDArray[np.float64]:
    """Return the textures of stored views (M, ..., c, h, w), flattened to shape (M * ..., c)."""
    flat = views.flatten(0, -4)
    parts = [
        measure_texture(flat[start : start + CHUNK].float()) for start in range(0, len(flat), CHUNK)
    ]
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def summarise(textures: NDArray[np.float64]) -> Statistics:
    """Return the statistics of textures (M, c).

    No channel counts as steadier than a tenth of the median one.
    """
    scale = textures.std(axis=0)
    return Statistics(
        textures.mean(axis=0), np.maximum(scale, max(FLOOR_SHARE * float(np.median(scale)), 1e-6))
    )


def build_gate(seen: Statistics, distances: NDArray[np.float64], pooled: int, where: str) -> Gate:
    """Return the gate of a model whose features are `pooled` numbers and then the texture.

    The pooled features do not count: their scale is set to a million.

    Parameters
    ----------
    seen : of the training views
    distances : shape (M,), of held-out frames to training statistics that did not see them
    pooled : length of the pooled part of the features
    where : what the held-out frames are, in words
    """
    center = np.concatenate([np.zeros(pooled), seen.center])
    scale = np.concatenate([np.full(pooled, UNCOUNTED), seen.scale])
    diluted = np.sqrt(len(seen.center) / len(center))
    limit = MARGIN * float(np.quantile(distances, QUANTILE)) * diluted
    return Gate(
        tuple(center.tolist()), tuple(scale.tolist()), float(limit), RULE.format(where=where)
    )
