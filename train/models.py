"""Networks for training: MobileNetV2, global average pooling and a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from stream.errors import UsageError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FROZEN_STAGES = 3
"""Leading stages of MobileNetV2 that keep their ImageNet weights; they end at 1/8 of the side."""
ALL_STAGES = 7
MIDDLE_STAGES = 5
"""Leading stages that end at 1/16 of the side."""


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


class Classifier(nn.Module):
    """A MobileNetV2 whose pooled feature map goes through one linear layer.

    The head is linear after the pooling, so the class activation map is exact.

    Parameters
    ----------
    backbone : timm name, of the MobileNetV2 family
    class_count : number of outputs
    drop : dropout before the head while training
    neck : channels of a finer feature map, 0 for the network's own last one
    stages : stages of the backbone to use; fewer than its 7 end before its last convolution
    """

    def __init__(
        self,
        backbone: str,
        class_count: int,
        drop: float = 0.0,
        neck: int = 0,
        stages: int = ALL_STAGES,
    ) -> None:
        super().__init__()
        self.stages = stages
        self.body = timm.create_model(backbone, pretrained=False, num_classes=0, global_pool="")
        channels = tuple(info["num_chs"] for info in self.body.feature_info)[-3:]
        self.neck = Neck(channels, neck) if neck else None
        self.drop = nn.Dropout(drop)
        own = self.body.num_features
        if stages < ALL_STAGES:
            own = self.body.blocks[stages - 1][-1].bn3.num_features
        self.head = nn.Linear(neck or own, class_count)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.register_buffer(
            "mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1) * 255, persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(IMAGENET_STD).view(3, 1, 1) * 255, persistent=False
        )

    def stem(self, frames: Tensor) -> Tensor:
        """Return what the frozen stages make of frames (N, 3, H, W) in 0..255."""
        maps = self.body.bn1(self.body.conv_stem((frames - self.mean) / self.std))
        return self.body.blocks[:FROZEN_STAGES](maps)

    def tail(self, fine: Tensor) -> Tensor:
        """Return the last feature map (N, K, h, w) for the output of `stem`."""
        if self.stages < ALL_STAGES:
            return self.body.blocks[FROZEN_STAGES : self.stages](fine)
        middle = self.body.blocks[FROZEN_STAGES:MIDDLE_STAGES](fine)
        coarse = self.body.blocks[MIDDLE_STAGES:](middle)
        if self.neck is None:
            return self.body.bn2(self.body.conv_head(coarse))
        return self.neck((fine, middle, coarse))

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits (N, C) of frames (N, 3, H, W), float in 0..255."""
        return self.head(self.drop(self.tail(self.stem(frames)).mean((2, 3))))


def measure_texture(fine: Tensor) -> Tensor:
    """Return how much each channel of the frozen stages varies over the picture.

    Ultrasound, photographs and text screens differ here far more clearly than in later layers,
    which are blind to what they were not trained to tell apart.

    Parameters
    ----------
    fine : shape (N, c, h, w), output of `Classifier.stem`

    Returns
    -------
    shape (N, c), standard deviation over the map
    """
    variance = (fine * fine).mean((2, 3)) - fine.mean((2, 3)).square()
    return variance.clamp_min(1e-6).sqrt()


def load_backbone(model: Classifier, backbone: str, weights: Path | None) -> str:
    """Fill the backbone with ImageNet weights and say where they came from.

    A file may hold another library's names: tensors are then matched in order, which is safe
    because every shape has to agree (torchvision's and timm's MobileNetV2 agree in all 312).

    Parameters
    ----------
    weights : state dictionary file, or None to let timm fetch its own

    Raises
    ------
    UsageError
        If the file does not fit, or there is neither a file nor a connection.
    """
    if weights is None:
        return _load_from_timm(model, backbone)
    if not weights.is_file():
        raise UsageError(str(weights), "no such weights file", "give --weights FILE")
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    values = [value for name, value in stored.items() if not name.startswith("classifier")]
    wanted = model.body.state_dict()
    if [value.shape for value in values] != [value.shape for value in wanted.values()]:
        raise UsageError(
            weights.name,
            f"{len(values)} tensors that do not fit {backbone}",
            "give weights of that network",
        )
    model.body.load_state_dict(dict(zip(wanted, values, strict=True)))
    return weights.name


def _load_from_timm(model: Classifier, backbone: str) -> str:
    try:
        source = timm.create_model(backbone, pretrained=True, num_classes=0, global_pool="")
    except (OSError, RuntimeError) as error:
        raise UsageError(
            backbone, "no pretrained weights: timm could not fetch its own", "give --weights FILE"
        ) from error
    model.body.load_state_dict(source.state_dict())
    return f"timm {backbone} {source.pretrained_cfg.get('tag', '')}".strip()
