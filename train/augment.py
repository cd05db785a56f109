"""Changes to training views that an ultrasound picture can undergo without changing its class."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from train.recipe import Augment


def augment(frames: Tensor, how: Augment, generator: Generator) -> Tensor:
    """Return one random view of each frame.

    Parameters
    ----------
    frames : shape (N, 3 or 4, H, W), float in 0..255
        A fourth channel is the mask of the finding; it moves along and is otherwise kept.
    how : largest changes
    generator : source of all randomness

    Returns
    -------
    shape of `frames`, float in 0..255
    """
    moved = _move(frames, how, generator)
    views = _soften(moved[:, :3], how.soften, generator)
    views = _tint(views, how.tint, generator)
    views = _light(views, how.contrast, generator)
    views = _speckle(views, how.speckle, generator)
    return torch.cat([_erase_corner(views, how.erase, generator), moved[:, 3:]], 1)


def _spread(count: int, limit: float, generator: Generator) -> Tensor:
    """Return `count` numbers uniform in -limit..limit."""
    return (torch.rand(count, generator=generator) * 2 - 1) * limit


def _move(frames: Tensor, how: Augment, generator: Generator) -> Tensor:
    count = len(frames)
    angle = _spread(count, math.radians(how.rotate_deg), generator)
    scale = torch.exp(_spread(count, math.log1p(how.zoom), generator))
    mirror = 1 - 2 * (torch.rand(count, generator=generator) < how.flip).float()
    shift = _spread(2 * count, 2 * how.shift, generator).view(count, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cos * mirror, -sin, shift[:, 0], sin * mirror, cos, shift[:, 1]], 1)
    grid = functional.affine_grid(rows.view(count, 2, 3), list(frames.shape), align_corners=False)
    return functional.grid_sample(frames, grid, align_corners=False)


def _soften(frames: Tensor, probability: float, generator: Generator) -> Tensor:
    """Lower the resolution of some frames, as another scanner or a small clip would."""
    out = frames.clone()
    height, width = frames.shape[2:]
    for place in (
        torch.nonzero(torch.rand(len(frames), generator=generator) < probability).flatten().tolist()
    ):
        factor = 1 + 2 * torch.rand((), generator=generator).item()
        small = functional.interpolate(
            frames[place : place + 1],
            (int(height / factor), int(width / factor)),
            mode="bilinear",
            antialias=True,
        )
        out[place] = functional.interpolate(small, (height, width), mode="bilinear")[0]
    return out


def _tint(frames: Tensor, probability: float, generator: Generator) -> Tensor:
    """Give some frames another scanner's colour map: their luma times a random colour."""
    chosen = torch.rand(len(frames), generator=generator) < probability
    colour = 1 - torch.rand(len(frames), 3, generator=generator) * 0.3
    colour[torch.rand(len(frames), generator=generator) < 0.5] = 1.0
    tinted = frames.mean(1, keepdim=True) * colour.view(-1, 3, 1, 1)
    return torch.where(chosen.view(-1, 1, 1, 1), tinted, frames)


def _light(frames: Tensor, limit: float, generator: Generator) -> Tensor:
    """Change gamma, gain and offset; black stays black so that the sector's outside is kept."""
    shape, count = (-1, 1, 1, 1), len(frames)
    gamma = torch.exp(_spread(count, 1.5 * math.log1p(limit), generator)).view(shape)
    gain = torch.exp(_spread(count, math.log1p(limit), generator)).view(shape)
    return ((frames / 255).clamp(0, 1).pow(gamma) * gain).clamp(0, 1) * 255


def _speckle(frames: Tensor, limit: float, generator: Generator) -> Tensor:
    strength = torch.rand(len(frames), generator=generator).view(-1, 1, 1, 1) * limit
    noise = torch.randn((len(frames), 1, *frames.shape[2:]), generator=generator)
    return (frames * (1 + strength * noise)).clamp(0, 255)


def _erase_corner(frames: Tensor, probability: float, generator: Generator) -> Tensor:
    """Blank a rectangle in a corner, where scanners write text that gives the clip away."""
    out = frames.clone()
    height, width = frames.shape[2:]
    for place in (
        torch.nonzero(torch.rand(len(frames), generator=generator) < probability).flatten().tolist()
    ):
        share, corner = (
            torch.rand(2, generator=generator) * 0.35,
            torch.rand(2, generator=generator) < 0.5,
        )
        rows, columns = int(share[0] * height), int(share[1] * width)
        top, left = (height - rows if corner[0] else 0), (width - columns if corner[1] else 0)
        out[place, :, top : top + rows, left : left + columns] = 0
    return out
