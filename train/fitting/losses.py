"""What training makes smaller; every sum is over the items of one batch, in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def label_loss(logits: Tensor, targets: Tensor, groups: int, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of each item over the classes of its own region, (N,).

    A single output unit z has the logits -z/2 and z/2, for which this is the binary cross-entropy
    of z.

    Parameters
    ----------
    logits : shape (N, G * C), the C classes of each of G regions in a row
    targets : shape of `logits`, rows sum to 1
    groups : number G of regions, 1 for none
    smoothing : share of the truth spread evenly over the region's classes

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7, for smoothing.
    """
    surprise = -logits.unflatten(1, (groups, -1)).log_softmax(2)
    truth = targets.unflatten(1, (groups, -1))
    even = truth.sum(2, keepdim=True) / truth.shape[2]
    return (((1 - smoothing) * truth + smoothing * even) * surprise).sum((1, 2))


def count_right(logits: Tensor, targets: Tensor, groups: int) -> Tensor:
    """Return whether the largest logit within the true region is that of the true class, (N,)."""
    truth = targets.argmax(1)
    classes = logits.shape[1] // groups
    of_region = logits.unflatten(1, (groups, classes))[
        torch.arange(len(truth), device=truth.device), truth // classes
    ]
    return of_region.argmax(1) == truth % classes


def weigh_classes(labels: Tensor, count: int) -> Tensor:
    """Return one weight per class, inverse to its frames, so that the mean over frames is 1.

    Parameters
    ----------
    labels : shape (M,), class indices
    count : number of classes; one without frames gets weight 0
    """
    frames = torch.bincount(labels, minlength=count).float()
    occurring = (frames > 0).sum()
    return torch.where(frames > 0, len(labels) / (occurring * frames.clamp_min(1)), 0.0)


def pointing_loss(scores: Tensor, masks: Tensor, shares: Tensor) -> Tensor:
    """Return how surprising it is that each map's peak lies on its finding, summed by `shares`.

    The softmax over the map is read as the probability that its peak lies in a cell.

    Parameters
    ----------
    scores : shape (N, h, w), map of the positive class before scaling
    masks : shape (N, h', w'), uint8, 255 where a cell lies wholly on the finding
    shares : shape (N,), 0 for frames without a finding
    """
    inside = functional.adaptive_avg_pool2d(masks.float() / 255, scores.shape[1:]).flatten(1)
    chance = torch.softmax(scores.flatten(1), 1)
    surprise = -torch.log((chance * inside.square()).sum(1).clamp_min(1e-6))
    return (surprise * shares).sum()
