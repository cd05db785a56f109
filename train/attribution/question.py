"""What all attribution methods are given, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.attribution.maps import Attribution
from train.nets.cascade import Cascade
from train.nets.models import Network

Explained = Network | Cascade
CHUNK = 8
"""Frames whose gradients are held in memory at once."""


@dataclass(frozen=True)
class Question:
    """What to explain: logit `target` of `frames`, shape (1, 3, H, W), float in 0..255."""

    network: Explained
    frames: Tensor
    target: int
    line_steps: tuple[int, ...]


@contextmanager
def at_rest(network: Explained) -> Iterator[None]:
    """Hold a network in inference mode and the random state as it was."""
    mode = network.training
    network.eval()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        network.train(mode)


def to_frames(network: Explained, frames: NDArray[np.uint8]) -> Tensor:
    """Return one picture (H, W, 3) or several (N, H, W, 3) as the network's input."""
    device = next(network.parameters()).device
    several = torch.from_numpy(frames.reshape(-1, *frames.shape[-3:]))
    return several.to(device).permute(0, 3, 1, 2).float()


def pack(values: Tensor, signed: bool) -> Attribution:
    """Return values (H, W) as a map; what is not finite is zero and counted."""
    found = values.detach().cpu().numpy().astype(np.float32)
    known = np.isfinite(found)
    return Attribution(np.where(known, found, np.float32(0)), signed, lost=int((~known).sum()))
