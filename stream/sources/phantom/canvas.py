"""The maps that anatomy paints: echogenicity, attenuation and mirror-like surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.beam import SOFT_TISSUE_LOSS
from stream.sources.phantom.field import F32
from stream.sources.phantom.shapes import Points

FLUID_DB = -60.0
"""Echogenicity of clear fluid; clutter and noise, added later, are far above it."""

FLUID_LOSS = 0.02
BONE_LOSS = 20.0

_REFERENCE_SAMPLE_MM = 150 / 447
_LN10_20 = float(np.log(10) / 20)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the beams of one frame meet.

    Parameters
    ----------
    points : tissue positions of the samples, slightly warped so that no outline is regular
    depth_mm : shape (S, 1), distance from the probe's face
    x_mm : shape (S, B), position along the probe, unwarped
    blotch, grain, fibre, speck : shape (S, B), unit-variance textures of falling coarseness
    plane_mm : distance of the imaging plane from the organ's middle
    scale_mm : length over which `blotch` changes by one
    sample_mm : distance between samples
    """

    points: Points
    depth_mm: F32
    x_mm: F32
    blotch: F32
    grain: F32
    fibre: F32
    speck: F32
    plane_mm: float
    scale_mm: float
    sample_mm: float


class Canvas:
    """Holds the maps of one frame while anatomy paints them, back to front.

    Widths of edges and surfaces are those at an imaging depth of 150 mm and shrink with it, as
    the resolution of the probes does.

    Attributes
    ----------
    echo_db : shape (S, B), echogenicity relative to liver
    loss : shape (S, B), one-way attenuation in dB / (cm MHz)
    mirror : shape (S, B), amplitude of smooth surfaces, which add in phase
    """

    def __init__(self, view: View) -> None:
        shape = view.x_mm.shape
        self.echo_db = np.zeros(shape, np.float32)
        self.loss = np.full(shape, SOFT_TISSUE_LOSS, np.float32)
        self.mirror = np.zeros(shape, np.float32)
        self._view = view
        self._unit = view.sample_mm / _REFERENCE_SAMPLE_MM

    def fill(
        self,
        inside: F32,
        echo_db: F32 | float,
        loss: float = SOFT_TISSUE_LOSS,
        soft_mm: float = 0.6,
        share: float = 1.0,
    ) -> None:
        """Fill a body.

        Parameters
        ----------
        inside : shape (S, B), signed distance, negative inside
        echo_db, loss : its echogenicity and attenuation
        soft_mm : width of its edge
        share : opacity
        """
        weight = np.clip(0.5 - inside * (1 / (soft_mm * self._unit)), 0, share)
        self.echo_db += weight * (echo_db - self.echo_db)
        self.loss += weight * (loss - self.loss)
        self.mirror *= 1 - weight

    def surface(
        self, distance: F32, level_db: float, width_mm: float = 0.6, floor: float = 0.1
    ) -> None:
        """Draw a surface that is bright where it faces the beam.

        Parameters
        ----------
        distance : shape (S, B), signed distance to the surface
        level_db : level where the beam meets it at a right angle
        width_mm : thickness
        floor : share of the level that remains where the beam grazes it
        """
        facing = _facing(distance, self._view.sample_mm)
        near = np.exp(-np.square(distance * (1 / (width_mm * self._unit))))
        rough = 1 + np.float32(0.35) * (self._view.grain + self._view.blotch + self._view.speck)
        level = np.float32(np.exp(level_db * _LN10_20))
        self.mirror += (
            near * (floor + (1 - floor) * facing * facing) * np.maximum(rough, 0.05) * level
        )

    def edge_shadow(self, distance: F32, loss: float, width_mm: float = 0.8) -> None:
        """Lose sound where the beam grazes a curved surface (refraction).

        Parameters
        ----------
        distance : shape (S, B), signed distance to the surface
        loss : extra attenuation at grazing incidence
        width_mm : thickness of the layer
        """
        grazing = 1 - _facing(distance, self._view.sample_mm)
        near = np.exp(-np.square(distance * (1 / (width_mm * self._unit))))
        self.loss += near * np.square(grazing * grazing) * np.float32(loss)


def amplitude(level_db: F32) -> F32:
    """Return 10 ** (dB / 20)."""
    return np.asarray(np.exp(level_db * np.float32(_LN10_20)), dtype=np.float32)


def _facing(distance: F32, sample_mm: float) -> F32:
    """Return the squared cosine between the beam and the surface normal."""
    slope = np.empty_like(distance)
    slope[1:-1] = distance[2:] - distance[:-2]
    slope[0], slope[-1] = slope[1], slope[-2]
    slope *= 1 / (2 * sample_mm)
    return np.asarray(np.minimum(slope * slope, 1), dtype=np.float32)
