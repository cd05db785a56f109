"""Random fields fixed in the tissue: scatterers and the textures that modulate them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

TEXTURE_PX = 320
"""Side of the textures; `Textures.sample` maps twice the imaging depth onto it."""

MARGIN = (48, 32)
"""Samples and beams by which the scatterer field is larger than the view, on each side."""

_PREBLUR_PX = 1.0


def smooth_noise(
    rng: np.random.Generator, shape_hw: tuple[int, int], cell: tuple[float, float]
) -> F32:
    """Return smooth noise of zero mean and unit variance.

    Parameters
    ----------
    rng : source of randomness
    shape_hw : shape of the result
    cell : height and width, in pixels, over which the noise stays correlated

    Returns
    -------
    shape `shape_hw`, float32
    """
    pairs = zip(shape_hw, cell, strict=True)
    coarse = tuple(max(3, round(side / width)) + 3 for side, width in pairs)
    knots = rng.standard_normal(coarse, dtype=np.float32)
    full_wh = (round(coarse[1] * cell[1]), round(coarse[0] * cell[0]))
    full_wh = (max(full_wh[0], shape_hw[1]), max(full_wh[1], shape_hw[0]))
    noise = cv2.resize(knots, full_wh, interpolation=cv2.INTER_CUBIC)[: shape_hw[0], : shape_hw[1]]
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def scatterer_field(rng: np.random.Generator, shape_hw: tuple[int, int]) -> F32:
    """Return unit-power complex Gaussian scatterers as real and imaginary planes.

    Many scatterers in each resolution cell with random phases sum to a circular complex
    Gaussian, so the field starts there; its envelope is Rayleigh distributed. A slight blur,
    part of the point spread, keeps its power even under sub-sample motion.

    Parameters
    ----------
    rng : source of randomness
    shape_hw : samples and beams of the view; the field is larger by `MARGIN` on each side

    Returns
    -------
    shape (H + 2 * MARGIN[0], W + 2 * MARGIN[1], 2), float32

    References
    ----------
    C. B. Burckhardt, "Speckle in ultrasound B-mode scans", IEEE Trans. Sonics Ultrason. 25(1),
    1978. J. C. Bamber and R. J. Dickinson, "Ultrasonic B-scanning: a computer simulation",
    Phys. Med. Biol. 25(3), 1980 (tissue as a field of scatterers convolved with the pulse).
    """
    shape = (shape_hw[0] + 2 * MARGIN[0], shape_hw[1] + 2 * MARGIN[1], 2)
    white = rng.standard_normal(shape, dtype=np.float32)
    field = cv2.GaussianBlur(white, (0, 0), _PREBLUR_PX, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(field / np.sqrt(2 * np.square(field).mean()), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Textures:
    """Smooth noises in tissue coordinates.

    Parameters
    ----------
    planes : shape (TEXTURE_PX, TEXTURE_PX, 4), unit variance: blotch, grain, fibre, speck
    warp : shape (TEXTURE_PX, TEXTURE_PX, 2), unit variance: shift along x and along z
    px_per_mm : texture pixels per millimetre of tissue
    """

    planes: F32
    warp: F32
    px_per_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, depth_mm: float) -> Textures:
        """Draw textures whose grain is in proportion to the imaging depth."""
        side = (TEXTURE_PX, TEXTURE_PX)
        cells = ((11.0, 13.0), (4.0, 4.5), (1.7, 22.0), (1.6, 1.8))
        planes = np.dstack([smooth_noise(rng, side, cell) for cell in cells])
        warp = np.dstack([smooth_noise(rng, side, (30.0, 30.0)) for _ in range(2)])
        return cls(planes, warp, TEXTURE_PX / (2.2 * depth_mm))

    def sample(self, plane: F32, x_mm: F32, z_mm: F32) -> list[F32]:
        """Read a texture at tissue positions.

        Parameters
        ----------
        plane : `planes` or `warp`
        x_mm, z_mm : shape (S, B), tissue coordinates, x = 0 in the middle, z = 0 at the probe

        Returns
        -------
        one array of shape (S, B) per channel
        """
        columns = x_mm * self.px_per_mm + TEXTURE_PX / 2
        rows = z_mm * self.px_per_mm + TEXTURE_PX / 4
        picked = cv2.remap(
            plane, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        return [np.asarray(channel, dtype=np.float32) for channel in cv2.split(picked)]
