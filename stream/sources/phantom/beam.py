"""From scatterers to grey levels along the beams.

The chain is the linear model: scatterers times echogenicity, convolved with a separable point
spread whose lateral width grows away from the focus, weighted by attenuation and gain, envelope,
logarithm. It works on the complex baseband signal, so the envelope is a magnitude.

References
----------
J. C. Bamber and R. J. Dickinson, Phys. Med. Biol. 25(3), 1980 (convolution model).
J. A. Jensen, "Field: a program for simulating ultrasound systems", Med. Biol. Eng. Comput. 34
(suppl. 1), 1996 (linear acoustics: the received signal is a convolution with the pulse-echo
response, which varies slowly with depth).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sources.phantom.field import F32
from stream.sources.phantom.probe import BEAMS, SAMPLES, Probe

LIVER_GREY = 0.40
"""Share of the grey scale at which liver lies with neutral gain."""

SOFT_TISSUE_LOSS = 0.5
"""Attenuation that the gain curve compensates, in dB / (cm MHz) one way."""

_ZONES = 5
_FWHM_PER_SIGMA = 2.3548
_FIELD_SIGMA_PX = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """A band of depth with one point spread.

    Parameters
    ----------
    rows : first and last-plus-one sample that the zone contributes to
    weight : shape (rows, 1), share of this zone, linear between zone centres
    axial, lateral : kernels; their outer product gives white noise unit gain
    """

    rows: tuple[int, int]
    weight: F32
    axial: NDArray[np.float64]
    lateral: NDArray[np.float64]


def beam_width_mm(probe: Probe, depth_mm: float) -> float:
    """Return the lateral full width at half maximum at a depth.

    The width grows as that of a Gaussian beam, the square root of one plus the squared distance
    from the focus in depths of focus.
    """
    depth_of_focus = 0.35 * probe.depth_mm / probe.spread
    away = (depth_mm - probe.focus_mm) / depth_of_focus
    if away < 0:
        away *= 0.5
    return float(probe.lateral_mm * np.sqrt(1 + away * away))


def point_spread(probe: Probe) -> tuple[Zone, ...]:
    """Divide the depth into zones, each with its own separable point spread."""
    centres = np.linspace(0, SAMPLES - 1, _ZONES)
    step = centres[1]
    zones = []
    for centre in centres:
        first, last = max(0, int(centre - step) + 1), min(SAMPLES, int(np.ceil(centre + step)))
        near = 1 - np.abs(np.arange(first, last) - centre) / step
        depth = float(centre) * probe.sample_mm
        lateral = beam_width_mm(probe, depth) / _FWHM_PER_SIGMA / probe.beam_mm(depth)
        longer = 1 + 0.35 * depth / probe.depth_mm
        axial = probe.axial_mm * longer / _FWHM_PER_SIGMA / probe.sample_mm
        weight = near[:, None].astype(np.float32)
        zones.append(Zone((first, last), weight, _kernel(axial), _kernel(lateral)))
    return tuple(zones)


def _kernel(sigma_px: float) -> NDArray[np.float64]:
    """Return a Gaussian that widens the field's own blur to `sigma_px`, at unit noise power."""
    sigma = max(0.25, sigma_px**2 - _FIELD_SIGMA_PX**2) ** 0.5
    half = int(np.ceil(2.6 * sigma))
    taps = np.arange(-half, half + 1)
    kernel = np.exp(-(taps**2) / (2 * sigma**2))
    joint = np.convolve(kernel, np.exp(-(np.arange(-4, 5) ** 2) / (2 * _FIELD_SIGMA_PX**2)))
    own = np.exp(-(np.arange(-4, 5) ** 2) / (2 * _FIELD_SIGMA_PX**2))
    return np.asarray(kernel * np.sqrt((own**2).sum() / (joint**2).sum()))


def blur(signal: F32, zones: tuple[Zone, ...]) -> F32:
    """Convolve with the point spread, which varies with depth.

    Parameters
    ----------
    signal : shape (SAMPLES, BEAMS, 2), real and imaginary part
    zones : from `point_spread`

    Returns
    -------
    same shape; a homogeneous field keeps its power within half a decibel
    """
    result = np.zeros_like(signal)
    for zone in zones:
        first, last = zone.rows
        pad = len(zone.axial) // 2
        top, bottom = max(0, first - pad), min(SAMPLES, last + pad)
        part = cv2.sepFilter2D(
            signal[top:bottom], -1, zone.lateral, zone.axial, borderType=cv2.BORDER_REFLECT_101
        )
        result[first:last] += part[first - top : last - top] * zone.weight[..., None]
    return result


def transmission(probe: Probe, loss_db_cm_mhz: F32, extra_db: F32) -> F32:
    """Return the factor by which attenuation and its compensation change the echoes.

    Parameters
    ----------
    probe : for frequency and compensation
    loss_db_cm_mhz : shape (SAMPLES, b), one-way attenuation coefficient in dB / (cm MHz)
    extra_db : shape (1, b), (SAMPLES, 1) or (SAMPLES, b), any further gain

    Returns
    -------
    shape (SAMPLES, b), amplitude; above 1 behind fluid (enhancement), below 1 in shadows

    Notes
    -----
    The compensation assumes `SOFT_TISSUE_LOSS` times the operator's setting. Two-way path, so
    twice the coefficient; soft tissue values about 0.5 dB / (cm MHz). An aperture sees past the
    edge of an obstacle, so the factor is averaged over neighbouring beams.

    References
    ----------
    T. L. Szabo, "Diagnostic Ultrasound Imaging: Inside Out", 2nd ed., 2014, appendix B.
    """
    step = 2 * probe.frequency_mhz * probe.sample_mm / 10
    excess = (np.float32(SOFT_TISSUE_LOSS * probe.tgc) - loss_db_cm_mhz) * np.float32(step)
    total_db = np.cumsum(excess, axis=0, dtype=np.float32) + extra_db
    factor = np.exp(np.clip(total_db, -60, 14) * np.float32(np.log(10) / 20))
    return np.asarray(cv2.blur(cv2.blur(factor, (5, 1)), (5, 1)), dtype=np.float32)


def compress(signal: F32, probe: Probe) -> NDArray[np.uint8]:
    """Take the envelope and map its logarithm to grey levels.

    Parameters
    ----------
    signal : shape (SAMPLES, BEAMS, 2), baseband; liver echoes have unit power
    probe : for gain, dynamic range and grey map

    Returns
    -------
    shape (SAMPLES, BEAMS), uint8
    """
    power = np.square(signal[..., 0]) + np.square(signal[..., 1]) + np.float32(1e-12)
    level = cv2.log(power) * np.float32(10 / np.log(10) / probe.range_db)
    share = level + np.float32(LIVER_GREY + probe.gain_db / probe.range_db)
    grey = np.clip(share, 0, 1) ** np.float32(probe.gamma) * np.float32(255)
    if probe.smoothing:
        smooth = cv2.GaussianBlur(grey, (0, 0), 2.0, sigmaY=1.0)
        grey = grey * np.float32(1 - probe.smoothing) + smooth * np.float32(probe.smoothing)
    return np.asarray(np.rint(grey), dtype=np.uint8)


def upsample(coarse: F32) -> F32:
    """Bring a map of fewer beams to all beams by linear interpolation."""
    return np.asarray(cv2.resize(coarse, (BEAMS, SAMPLES)), dtype=np.float32)
