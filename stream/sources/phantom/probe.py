"""The probe: its beams and its settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.field import F32

SAMPLES = 448
"""Samples along a beam."""

BEAMS = 256
"""Beams across the view."""

_SPEED_MM_US = 1.54


@dataclass(frozen=True, slots=True)
class Preset:
    """Ranges from which a probe is drawn, lengths in mm.

    Parameters
    ----------
    depth_mm, radius_mm, half_rad, width_mm : imaging depth, radius of the curved face, half the
        opening angle, width of the flat face
    frequency_mhz : centre frequency
    """

    depth_mm: tuple[float, float]
    radius_mm: tuple[float, float]
    half_rad: tuple[float, float]
    width_mm: tuple[float, float]
    frequency_mhz: tuple[float, float]


ABDOMINAL = Preset((115, 175), (40, 65), (0.50, 0.68), (50, 62), (2.8, 4.2))
ENDOCAVITY = Preset((45, 75), (9, 13), (0.75, 1.15), (38, 46), (5.5, 7.5))
LUNG = Preset((75, 150), (38, 62), (0.42, 0.62), (36, 48), (3.8, 6.0))


@dataclass(frozen=True, slots=True)
class Probe:
    """Geometry and settings of one examination.

    Parameters
    ----------
    linear : True for parallel beams
    depth_mm, radius_mm, half_rad, width_mm : see `Preset`
    frequency_mhz : centre frequency
    focus_mm : depth of the narrowest beam
    lateral_mm, axial_mm : full width at half maximum of the point spread at the focus
    spread : growth of the beam away from the focus, per depth of focus
    gain_db : overall gain
    range_db : dynamic range of the display
    tgc : compensated attenuation over that of average soft tissue
    noise_db : electronic noise at the greatest depth, relative to liver echoes
    clutter_db : reverberation and side lobes that fill even clear fluid, relative to liver
    smoothing : share of the smoothed picture in the displayed one, in [0, 1)
    gamma : exponent of the grey map
    spiky_db : strength of the tissue's own fine texture, on top of speckle
    zoom : size of the fan over the largest that fits
    shift : where the fan lies in the spare room of the picture, each in [0, 1]
    """

    linear: bool
    depth_mm: float
    radius_mm: float
    half_rad: float
    width_mm: float
    frequency_mhz: float
    focus_mm: float
    lateral_mm: float
    axial_mm: float
    spread: float
    gain_db: float
    range_db: float
    tgc: float
    noise_db: float
    clutter_db: float
    smoothing: float
    gamma: float
    spiky_db: float
    zoom: float
    shift: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, preset: Preset, linear: bool) -> Probe:
        """Draw a probe and its settings within a preset."""
        depth = rng.uniform(*preset.depth_mm) * (0.48 if linear else 1.0)
        frequency = rng.uniform(*preset.frequency_mhz) * (2.0 if linear else 1.0)
        wavelength = _SPEED_MM_US / frequency
        return cls(
            linear=linear,
            depth_mm=depth,
            radius_mm=rng.uniform(*preset.radius_mm),
            half_rad=rng.uniform(*preset.half_rad),
            width_mm=rng.uniform(*preset.width_mm),
            frequency_mhz=frequency,
            focus_mm=depth * rng.uniform(0.3, 0.6),
            lateral_mm=wavelength * rng.uniform(2.6, 4.6) * (0.6 if linear else 1.0),
            axial_mm=wavelength * rng.uniform(1.1, 1.9),
            spread=rng.uniform(0.7, 1.3),
            gain_db=rng.uniform(-5.0, 6.0),
            range_db=rng.uniform(48.0, 68.0),
            tgc=rng.uniform(0.84, 1.05),
            noise_db=rng.uniform(-26.0, -12.0),
            clutter_db=rng.uniform(-32.0, -15.0),
            smoothing=rng.uniform(0.2, 0.9),
            gamma=rng.uniform(0.9, 1.25),
            spiky_db=rng.uniform(0.5, 3.5),
            zoom=rng.uniform(0.94, 1.0 if linear else 1.15),
            shift=(rng.uniform(0.2, 0.8), rng.uniform(0.0, 1.0)),
        )

    @property
    def sample_mm(self) -> float:
        """Distance between samples along a beam."""
        return self.depth_mm / (SAMPLES - 1)

    def beam_mm(self, depth_mm: float) -> float:
        """Distance between neighbouring beams at a depth."""
        if self.linear:
            return self.width_mm / (BEAMS - 1)
        return (self.radius_mm + depth_mm) * 2 * self.half_rad / (BEAMS - 1)

    def positions(self, beams: int) -> tuple[F32, F32]:
        """Return x (rightwards) and z (downwards) of all samples, in mm.

        Parameters
        ----------
        beams : number of beams over the same opening

        Returns
        -------
        two arrays of shape (SAMPLES, beams)
        """
        along = np.linspace(0, self.depth_mm, SAMPLES, dtype=np.float32)[:, None]
        centres = (np.arange(beams, dtype=np.float32) + 0.5) * (BEAMS / beams) - 0.5
        across = (centres * (2 / (BEAMS - 1)) - 1)[None, :]
        if self.linear:
            return self._flat(along, across)
        angle = across * self.half_rad
        reach = along + self.radius_mm
        return reach * np.sin(angle), reach * np.cos(angle) - self.radius_mm

    def _flat(self, along: F32, across: F32) -> tuple[F32, F32]:
        shape = np.broadcast_shapes(along.shape, across.shape)
        x_mm = np.broadcast_to(across * (self.width_mm / 2), shape)
        return np.ascontiguousarray(x_mm), np.ascontiguousarray(np.broadcast_to(along, shape))

    def grid(self, x_mm: F32, z_mm: F32) -> tuple[F32, F32]:
        """Return the (fractional) sample and beam at which points lie; inverse of `positions`."""
        if self.linear:
            return z_mm / self.sample_mm, (x_mm / self.width_mm + 0.5) * (BEAMS - 1)
        below = z_mm + self.radius_mm
        along = (np.hypot(x_mm, below) - self.radius_mm) / self.sample_mm
        across = (np.arctan2(x_mm, below) / self.half_rad + 1) * ((BEAMS - 1) / 2)
        return along, across
