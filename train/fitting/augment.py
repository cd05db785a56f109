"""Changes to training views that an ultrasound picture can undergo without changing its class."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from train.recipe import Augment

BLACK = 8.0
"""Brightness up to which a pixel counts as black; compression leaves such a haze."""
GAIN_WAVES = 3


def augment(frames: Tensor, how: Augment, generator: Generator) -> Tensor:
    """Return one random view of each frame.

    In the order of what makes a picture: the probe's place and the depth setting (`_move`), the
    time-gain curve (`_shade`), the scanner's resolution, its colour map, its grey curve, speckle,
    and last the text in a corner. The changes named shear, depth, gain curve and sector draw
    nothing from the generator when they are zero.

    Parameters
    ----------
    frames : shape (N, 3 or 4, H, W), float in 0..255
        A fourth channel is the mask of the finding; it moves along and is otherwise kept.
    how : largest changes
    generator : source of all randomness, on the CPU

    Returns
    -------
    shape of `frames`, float in 0..255
    """
    moved = _move(frames, how, generator)
    views = _shade(moved[:, :3], how.gain_curve, generator)
    views = _soften(views, how.soften, generator)
    views = _tint(views, how.tint, generator)
    views = _light(views, how.contrast, generator)
    views = _speckle(views, how.speckle, generator)
    return torch.cat([_erase_corner(views, how.erase, generator), moved[:, 3:]], 1)


def _spread(count: int, limit: float, generator: Generator) -> Tensor:
    """Return `count` numbers uniform in -limit..limit."""
    return (torch.rand(count, generator=generator) * 2 - 1) * limit


def _move(frames: Tensor, how: Augment, generator: Generator) -> Tensor:
    """Rotate, scale, mirror and shift; then shear, and scale about the probe's surface.

    The depth setting of a scanner scales the picture about the middle of its upper edge.
    """
    count = len(frames)
    angle = _spread(count, math.radians(how.rotate_deg), generator)
    scale = torch.exp(_spread(count, math.log1p(how.zoom), generator))
    mirror = 1 - 2 * (torch.rand(count, generator=generator) < how.flip).float()
    shift = _spread(2 * count, 2 * how.shift, generator).view(count, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cos * mirror, -sin, shift[:, 0], sin * mirror, cos, shift[:, 1]], 1)
    moves = _deepen(_shear(rows.view(count, 2, 3), how.shear_deg, generator), how.depth, generator)
    grid = functional.affine_grid(moves, list(frames.shape), align_corners=False)
    moved = functional.grid_sample(frames, grid, align_corners=False)
    return _keep_sector(moved, frames, how.keep_sector, generator)


def _shear(moves: Tensor, limit_deg: float, generator: Generator) -> Tensor:
    """Slant the columns of the pictures; `moves` (N, 2, 3) maps view to frame coordinates."""
    if not limit_deg:
        return moves
    slant = torch.tan(_spread(len(moves), math.radians(limit_deg), generator))
    sheared = moves.clone()
    sheared[:, :, 1] += slant[:, None] * moves[:, :, 0]
    return sheared


def _deepen(moves: Tensor, limit: float, generator: Generator) -> Tensor:
    """Scale about (0, -1), the middle of the upper edge in the coordinates of `moves`."""
    if not limit:
        return moves
    scale = torch.exp(_spread(len(moves), math.log1p(limit), generator))[:, None]
    offset = moves[:, :, 2] + moves[:, :, 1] * (scale - 1)
    return torch.cat([moves[:, :, :2] * scale[:, None], offset[:, :, None]], 2)


def _keep_sector(moved: Tensor, frames: Tensor, probability: float, generator: Generator) -> Tensor:
    """Black out in some views what lay outside the sector in their frame.

    The scanner cuts the picture to the sector after everything that moves it.
    """
    if not probability:
        return moved
    kept = torch.rand(len(frames), generator=generator) >= probability
    return moved * (find_sector(frames[:, :3]) | kept.view(-1, 1, 1, 1))


def find_sector(frames: Tensor) -> Tensor:
    """Return what lies between lit pixels both along its row and along its column.

    Black spots inside the sector, such as fluid, belong to it.

    Parameters
    ----------
    frames : shape (N, 3, H, W), float in 0..255

    Returns
    -------
    shape (N, 1, H, W), bool
    """
    lit = frames.amax(1, keepdim=True) > BLACK
    spans = [
        (lit.cumsum(axis) > 0) & (lit.flip(axis).cumsum(axis).flip(axis) > 0) for axis in (2, 3)
    ]
    return spans[0] & spans[1]


def _shade(frames: Tensor, limit: float, generator: Generator) -> Tensor:
    """Multiply by a smooth random curve over depth, as wrongly set time-gain compensation does.

    The logarithm of the gain is the mean of three cosines over the picture's height; depth is
    taken as the vertical place, which is exact for linear probes.
    """
    if not limit:
        return frames
    height = frames.shape[2]
    depth = (torch.arange(height) + 0.5) / height
    waves = torch.cos(math.pi * torch.outer(torch.arange(1, GAIN_WAVES + 1), depth))
    sizes = _spread(GAIN_WAVES * len(frames), math.log1p(limit), generator)
    gain = torch.exp(sizes.view(-1, GAIN_WAVES) @ waves / GAIN_WAVES)
    return (frames * gain[:, None, :, None]).clamp(0, 255)


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
    if not chosen.any():
        return frames
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
