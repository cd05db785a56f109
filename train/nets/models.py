"""Networks for training: a body and a head, and where the body's weights come from."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from engines.spec import CamKind
from stream.errors import UsageError
from train.nets.bodies import SMALL_CNN, Body, EarlyBody, build_body
from train.nets.heads import Head
from train.nets.weights import read_tensors
from train.recipe import Recipe

RANDOM = "random"
NOT_PRETRAINED = f"{RANDOM} start: not pretrained"
CLASSIFIERS = ("classifier", "fc", "head", "AuxLogits", "pre_logits")
"""First parts of the names of tensors that belong to ImageNet's classes."""


class Network(nn.Module):
    """A body and a head; what `stem` returns may be stored, the rest is trained.

    Parameters
    ----------
    body : the backbone
    head : what follows it
    """

    def __init__(self, body: Body | EarlyBody, head: Head) -> None:
        super().__init__()
        self.body, self.head = body, head
        for part in body.fixed():
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Network:
        """Switch to training or inference; what is frozen stays as in inference."""
        super().train(mode)
        for part in self.body.fixed():
            part.eval()
        return self

    def stem(self, frames: Tensor) -> Tensor:
        """Return what the frozen part makes of frames (N, 3, H, W), float in 0..255."""
        return self.body.stem(frames)

    def tail(self, stored: Tensor) -> Tensor:
        """Return the explained map A (N, K, h, w) of the output of `stem`."""
        return self.head.maps(self.body.tail(stored))

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits (N, C) of frames (N, 3, H, W), float in 0..255."""
        return self.head.logits(self.tail(self.stem(frames)))

    @property
    def cam_kind(self) -> CamKind:
        """Which kind of map `reveal` returns."""
        return self.head.cam_kind

    def reveal(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (N, C), class maps (N, C, h, w) and features (N, D) of frames.

        The features are the pooled map, then the texture of the frozen stages where it tells
        pictures apart.
        """
        stored = self.stem(frames)
        maps = self.tail(stored)
        pooled = maps.mean((2, 3))
        features = torch.cat([pooled, measure_texture(stored)], 1) if self.textured else pooled
        return self.head.logits(maps), self.head.cam(maps), features

    @property
    def textured(self) -> bool:
        """Whether the texture of the stem is among the features, for the gate."""
        return self.body.textured


def build_network(recipe: Recipe) -> Network:
    """Return the network of a recipe with random weights, the same for the same seed.

    Raises
    ------
    UsageError
        If the input is too small for the network.
    """
    torch.manual_seed(recipe.seed)
    body = build_body(recipe)
    shape = _shape_for(body, recipe)
    smallest = recipe.head.max_pool + (0 if recipe.head.pad or not recipe.head.conv else 2)
    if min(shape[1:]) < smallest:
        raise UsageError(
            f"{recipe.name} {recipe.variant}",
            f"input of {recipe.input_px} px gives a map of {shape[1]} x {shape[2]}",
            f"expected at least {smallest} x {smallest}; give a larger input_px",
        )
    names = recipe.regions if recipe.target == "region" else recipe.classes
    count = len(names) * (len(recipe.regions) or 1 if recipe.target == "label" else 1)
    return Network(
        body,
        Head(recipe.head, shape, count, recipe.positive, recipe.drop),
    )


def _shape_for(body: Body | EarlyBody, recipe: Recipe) -> tuple[int, int, int]:
    """Return the shape of a body's map for the input of a recipe, or refuse them."""
    try:
        return map_shape(body, recipe.input_px)
    except (RuntimeError, AssertionError, ValueError) as error:
        names = ", ".join(recipe.backbones)
        raise UsageError(
            f"{recipe.name} {recipe.variant}",
            f"{names} makes no joint map of an input of {recipe.input_px} px",
            "give a larger input_px, or backbones with maps of one size",
        ) from error


@torch.no_grad()
def map_shape(body: Body | EarlyBody, input_px: int) -> tuple[int, int, int]:
    """Return channels, height and width of a body's map for square frames of a size."""
    mode, device = body.training, next(body.parameters()).device
    found = body.eval().tail(body.stem(torch.zeros(1, 3, input_px, input_px, device=device)))
    body.train(mode)
    channels, height, width = found.shape[1:]
    return channels, height, width


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """Return the number of trained and of all parameters, running statistics included."""
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    kept = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    return trained, sum(network.state_dict()[name].numel() for name in kept)


def load_backbones(network: Network, recipe: Recipe, weights: Path | None) -> str:
    """Fill the backbones with pretrained weights and say where they came from.

    Parameters
    ----------
    weights : a state dictionary (.pth, or .safetensors with timm's names), a folder with one per
        backbone named like it, the word ``random`` for none, or None to let timm fetch its own

    Raises
    ------
    UsageError
        If a file is missing, broken or does not fit, or there is neither a file nor a connection.
    """
    if weights == Path(RANDOM):
        return NOT_PRETRAINED
    named = [name for name in recipe.backbones if name != SMALL_CNN]
    nets = [
        net
        for name, net in zip(recipe.backbones, network.body.nets(), strict=True)
        if name != SMALL_CNN
    ]
    said = [_load(net, name, weights) for name, net in zip(named, nets, strict=True)]
    return ", ".join(said) or f"{RANDOM} start: the network has no pretrained part"


def _load(net: nn.Module, name: str, weights: Path | None) -> str:
    if weights is None:
        return _load_from_timm(net, name)
    path = _find(weights, name)
    stored = read_tensors(path)
    fill(net, {k: v for k, v in stored.items() if not k.startswith(CLASSIFIERS)}, path.name, name)
    return path.name


def _find(weights: Path, name: str) -> Path:
    found = [weights] if weights.is_file() else sorted(weights.glob(f"{name}.*"))
    if not found:
        raise UsageError(
            str(weights), f"no weights for {name}", f"give --weights FILE, FOLDER or {RANDOM}"
        )
    return found[0]


def fill(net: nn.Module, stored: dict[str, Tensor], subject: str, name: str) -> None:
    """Put tensors into a network, by name or, from another library, by order.

    Order is safe because every shape has to agree (torchvision's and timm's MobileNetV2 agree in
    all 312).

    Raises
    ------
    UsageError
        If they do not fit.
    """
    wanted = net.state_dict()
    values = list(stored.values())
    if stored.keys() == wanted.keys():
        values = [stored[key] for key in wanted]
    if [value.shape for value in values] != [value.shape for value in wanted.values()]:
        raise UsageError(
            subject, f"{len(values)} tensors that do not fit {name}", "give weights of that network"
        )
    net.load_state_dict(dict(zip(wanted, values, strict=True)))


def _load_from_timm(net: nn.Module, name: str) -> str:
    try:
        source = timm.create_model(name, pretrained=True, num_classes=0, global_pool="")
    except (OSError, RuntimeError) as error:
        raise UsageError(
            name,
            "no pretrained weights: timm could not fetch its own",
            f"give --weights FILE, or --weights {RANDOM} to start from nothing",
        ) from error
    wanted = set(net.state_dict())
    fill(net, {k: v for k, v in source.state_dict().items() if k in wanted}, name, name)
    return f"timm {name} {source.pretrained_cfg.get('tag', '')}".strip()


@torch.no_grad()
def settle_norms(network: Network, frames: Tensor) -> None:
    """Give batch normalisation the statistics of some frames (N, 3, H, W) in 0..255.

    A random start has none, so its values would grow from layer to layer until they overflow.
    """
    norms = [m for m in network.body.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    network.body.tail(network.body.stem(frames))
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    network.eval()


def measure_texture(fine: Tensor) -> Tensor:
    """Return how much each channel of the frozen stages varies over the picture.

    Ultrasound, photographs and text screens differ here far more clearly than in later layers,
    which are blind to what they were not trained to tell apart.

    Parameters
    ----------
    fine : shape (N, c, h, w), output of the stem of an `EarlyBody`

    Returns
    -------
    shape (N, c), standard deviation over the map
    """
    variance = (fine * fine).mean((2, 3)) - fine.mean((2, 3)).square()
    return variance.clamp_min(1e-6).sqrt()
