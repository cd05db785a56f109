"""Backbones: the part of a network that is taken over, by one interface.

A body has a stem, which keeps its weights and whose output can therefore be stored, and a tail,
which is trained. Which is which depends on what the recipe freezes.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import timm
import torch
from torch import Tensor, nn

from stream.errors import UsageError
from train.recipe import Recipe

SMALL_CNN = "small-cnn"
SMALL_FILTERS = (32, 64, 64)
AFTER_POOLING = {"VGG": ("pre_logits",), "MobileNetV3": ("conv_head", "norm_head")}
"""Layers between the last map and the classifier, by timm's class; our heads take their place."""
FROZEN_STAGES = 3
"""Leading stages of MobileNetV2 that keep their ImageNet weights; they end at 1/8 of the side."""
ALL_STAGES = 7
MIDDLE_STAGES = 5
"""Leading stages that end at 1/16 of the side."""


class Normalise(nn.Module):
    """Brings pictures in 0..255 to the range that a backbone was trained on."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1) * 255, persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Return normalised frames of the same shape."""
        return (frames - self.mean) / self.std


class TimmBody(nn.Module):
    """Any timm network up to its last map after the activation.

    Parameters
    ----------
    name : timm name
    """

    textured = False

    def __init__(self, name: str) -> None:
        super().__init__()
        self.net = create(name)
        config = self.net.pretrained_cfg
        self.normalise = Normalise(config["mean"], config["std"])

    def forward(self, frames: Tensor) -> Tensor:
        """Return the map (N, K, h, w) of frames (N, 3, H, W) in 0..255."""
        return self.net.forward_features(self.normalise(frames))


class SmallCnn(nn.Module):
    """Three 3 x 3 convolutions with ReLU, the first two with 2 x 2 maximum pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        layers: list[nn.Module] = []
        for before, filters in zip((3, *SMALL_FILTERS), SMALL_FILTERS, strict=False):
            layers += [nn.Conv2d(before, filters, 3), nn.ReLU(), nn.MaxPool2d(2)]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, frames: Tensor) -> Tensor:
        """Return the map (N, 64, h, w) of frames (N, 3, H, W) in 0..255."""
        return self.net(self.normalise(frames))


class Body(nn.Module):
    """One or more whole networks, all frozen or all trained; their maps are joined by channels.

    Parameters
    ----------
    names : timm names, or ``small-cnn``
    frozen : whether the weights stay as they are
    """

    textured = False

    def __init__(self, names: Sequence[str], frozen: bool) -> None:
        super().__init__()
        self.frozen = frozen
        self.parts = nn.ModuleList(
            SmallCnn() if name == SMALL_CNN else TimmBody(name) for name in names
        )

    def nets(self) -> list[nn.Module]:
        """Return the networks that take pretrained weights, in the order of their names."""
        return [part.net for part in self.parts]

    def fixed(self) -> list[nn.Module]:
        """Return the modules that are never trained."""
        return list(self.parts) if self.frozen else []

    def stem(self, frames: Tensor) -> Tensor:
        """Return what may be stored for frames (N, 3, H, W) in 0..255."""
        return self._all(frames) if self.frozen else frames

    def tail(self, stored: Tensor) -> Tensor:
        """Return the map (N, K, h, w) of the output of `stem`."""
        return stored if self.frozen else self._all(stored)

    def _all(self, frames: Tensor) -> Tensor:
        maps = [part(frames) for part in self.parts]
        return maps[0] if len(maps) == 1 else torch.cat(maps, 1)


class Neck(nn.Module):
    """Joins three stages of MobileNetV2 into one map at an eighth of the input side.

    A map at a thirty-second (7 x 7 at 224 px) is coarser than a small finding: its peak then has
    no cell that could hit. This adds 5 % of the network's work.

    Parameters
    ----------
    channels : of each stage, the finest first
    width : channels of the joined map

    References
    ----------
    Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, section 3.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, width, 1, bias=False) for count in channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in channels)
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU6(),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU6(),
        )

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Return the joined map (N, width, h, w) at the size of the first stage."""
        sides = [
            norm(side(maps))
            for side, norm, maps in zip(self.lateral, self.norms, stages, strict=True)
        ]
        joined = sides[-1]
        for finer in reversed(sides[:-1]):
            scale = finer.shape[-1] // joined.shape[-1]
            joined = finer + nn.functional.interpolate(
                joined, scale_factor=float(scale), mode="nearest"
            )
        return self.mix(nn.functional.relu6(joined))


class EarlyBody(nn.Module):
    """A MobileNetV2 whose first stages are frozen.

    Parameters
    ----------
    name : timm name, of the MobileNetV2 family
    stages : stages to use; fewer than its 7 end before its last convolution
    neck : channels of a finer feature map, 0 for the network's own last one
    frozen : leading stages that keep their weights
    """

    textured = True

    def __init__(self, name: str, stages: int, neck: int, frozen: int = FROZEN_STAGES) -> None:
        super().__init__()
        self.stages, self.frozen, self.net = stages, frozen, create(name)
        self.normalise = Normalise(self.net.pretrained_cfg["mean"], self.net.pretrained_cfg["std"])
        channels = tuple(info["num_chs"] for info in self.net.feature_info)[-3:]
        self.neck = Neck(channels, neck) if neck else None

    def nets(self) -> list[nn.Module]:
        """Return the network that takes pretrained weights."""
        return [self.net]

    def fixed(self) -> list[nn.Module]:
        """Return the modules that are never trained."""
        return [self.net.conv_stem, self.net.bn1, self.net.blocks[: self.frozen]]

    def stem(self, frames: Tensor) -> Tensor:
        """Return what the frozen stages make of frames (N, 3, H, W) in 0..255."""
        maps = self.net.bn1(self.net.conv_stem(self.normalise(frames)))
        return self.net.blocks[: self.frozen](maps)

    def tail(self, fine: Tensor) -> Tensor:
        """Return the map (N, K, h, w) of the output of `stem`."""
        if self.stages < ALL_STAGES:
            return self.net.blocks[self.frozen : self.stages](fine)
        middle = self.net.blocks[self.frozen : MIDDLE_STAGES](fine)
        coarse = self.net.blocks[MIDDLE_STAGES:](middle)
        if self.neck is None:
            return self.net.bn2(self.net.conv_head(coarse))
        return self.neck((fine, middle, coarse))


def create(name: str) -> nn.Module:
    """Return a timm network without its classifier and with random weights.

    Raises
    ------
    UsageError
        C06 if timm does not know the name.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 1, cutoff=0)
        hint = f"expected a name of timm; nearest: {near[0]!r}"
        raise UsageError(f"backbone {name!r}", "no such network", hint, fault="C06")
    net = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
    for unused in AFTER_POOLING.get(type(net).__name__, ()):
        setattr(net, unused, nn.Identity())
    return net


def build_body(recipe: Recipe) -> Body | EarlyBody:
    """Return the body that a recipe names, with random weights."""
    if recipe.frozen == "early":
        (name,) = recipe.backbones
        frozen = FROZEN_STAGES if recipe.method == "gradient" else recipe.stages
        return EarlyBody(name, recipe.stages, recipe.neck, frozen)
    return Body(recipe.backbones, recipe.frozen == "all")
