"""From the backbone's last map to logits, and the class maps that explain them exactly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from engines.spec import CamKind
from train.recipe import HeadPlan

NORM_EPS = 1e-3
INITIAL_STD = 0.01


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of maps (N, K, h, w) over K at every place."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Moments(nn.Module):
    """Joins maps (N, K, h, w) with their squared deviations from the mean over the map.

    The average of the joined map is mean and variance of each channel, so a linear layer on it
    still has an exact class map.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (N, 2 K, h, w)."""
        return torch.cat([maps, (maps - maps.mean((2, 3), keepdim=True)).square()], 1)


class Head(nn.Module):
    """Optional normalisation and convolution, then pooling, fully connected layers and logits.

    The explained map A is what enters the pooling. With one linear layer after plain pooling the
    class map is the exact CAM: its sum over the map plus the bias is the logit. With deeper layers
    or maximum pooling it is the exact Grad-CAM: the gradient of a pooled cell goes to one cell of
    the map, so the mean gradient of a channel is the sum over its pooled cells divided by h w, in
    closed form and without a backward pass.

    Parameters
    ----------
    plan : what to build
    shape_khw : channels, height and width of the backbone's map
    class_count : number of logits
    positive : class of the single output unit, if the plan has one
    drop : dropout before each fully connected layer while training

    Attributes
    ----------
    channels : K of the explained map

    References
    ----------
    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, section 2.
    Selvaraju et al., "Grad-CAM", ICCV 2017, section 3.
    """

    def __init__(
        self,
        plan: HeadPlan,
        shape_khw: tuple[int, int, int],
        class_count: int,
        positive: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        channels, *size_hw = shape_khw
        self.plan = plan
        self.before = nn.Sequential()
        if plan.moments:
            self.before.append(Moments())
            channels *= 2
        if plan.norm:
            self.before.append(ChannelNorm(channels, eps=NORM_EPS))
        if plan.conv:
            self.before.append(nn.Conv2d(channels, plan.conv, 3, padding=int(plan.pad)))
            self.before.append(nn.ReLU())
            channels, size_hw = plan.conv, [side - 2 * (not plan.pad) for side in size_hw]
        self.channels = channels
        cells = [side // plan.max_pool for side in size_hw]
        inputs = channels * (cells[0] * cells[1] if plan.pool == "flatten" else 1)
        self.drop = nn.Dropout(drop)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((inputs, *plan.hidden)))
        units = 1 if plan.single else class_count
        self.last = nn.Linear((inputs, *plan.hidden)[-1], units)
        nn.init.normal_(self.last.weight, std=INITIAL_STD)
        nn.init.zeros_(self.last.bias)
        signs = torch.full((2, 1), -0.5)
        signs[positive if plan.single else 0] = 0.5
        spread = signs if plan.single else torch.eye(class_count)
        self.register_buffer("spread", spread, persistent=False)

    @property
    def cam_kind(self) -> CamKind:
        """Which kind of map `cam` is."""
        return "grad-cam" if self.plan.hidden or self.plan.max_pool > 1 else "cam"

    def maps(self, backbone: Tensor) -> Tensor:
        """Return the explained map A (N, K, h, w) of the backbone's map."""
        return self.before(backbone)

    def logits(self, maps: Tensor) -> Tensor:
        """Return logits (N, C) of A."""
        return self._answer(maps)[0]

    def cam(self, maps: Tensor) -> Tensor:
        """Return one map per class, (N, C, h, w)."""
        if self.cam_kind == "cam":
            return self._linear_cam(maps)
        height, width = maps.shape[2:]
        gradient = self._gradient(self._answer(maps)[1])
        if self.plan.pool == "flatten":
            gradient = gradient.unflatten(2, (maps.shape[1], -1)).sum(3)
        found = torch.matmul(gradient / (height * width), maps.flatten(2))
        return found.unflatten(2, (height, width)).relu()

    def penultimate(self, maps: Tensor) -> Tensor:
        """Return what enters the last layer (N, D); the mean over A where that is A itself."""
        sums = self._answer(maps)[1]
        return sums[-1].relu() if sums else maps.mean((2, 3))

    def forward(self, backbone: Tensor) -> Tensor:
        """Return logits (N, C) of the backbone's map."""
        return self.logits(self.maps(backbone))

    def _linear_cam(self, maps: Tensor) -> Tensor:
        weight = self.spread @ self.last.weight
        if self.plan.pool == "average":
            cells = maps.shape[2] * maps.shape[3]
            return nn.functional.conv2d(maps, weight[:, :, None, None] / cells)
        return torch.stack([(maps * row.view(maps.shape[1:])).sum(1) for row in weight.unbind()], 1)

    def _answer(self, maps: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits and the values of the hidden layers before their ReLU."""
        side = self.plan.max_pool
        pooled = nn.functional.max_pool2d(maps, side) if side > 1 else maps
        values = pooled.mean((2, 3)) if self.plan.pool == "average" else pooled.flatten(1)
        sums = []
        for layer in self.hidden:
            sums.append(layer(values if sums and self.plan.drop_once else self.drop(values)))
            values = sums[-1].relu()
        units = self.last(values if sums and self.plan.drop_once else self.drop(values))
        return (units @ self.spread.T if self.plan.single else units), sums

    def _gradient(self, sums: Sequence[Tensor]) -> Tensor:
        """Return the derivative of each logit by the pooled values, (N or 1, C, D)."""
        gradient = (self.spread @ self.last.weight)[None]
        for layer, before in zip(reversed(self.hidden), reversed(sums), strict=True):
            gradient = (gradient * (before > 0)[:, None].to(gradient)) @ layer.weight
        return gradient
