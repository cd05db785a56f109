"""Scan conversion: where the beams fall in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sources.phantom.probe import BEAMS, SAMPLES, Probe
from stream.sources.phantom.spec import PhantomSpec


@dataclass(frozen=True, slots=True, eq=False)
class ScanConverter:
    """Turns beams into a picture, black outside the fan.

    Parameters
    ----------
    maps : fixed-point maps of `cv2.remap`, each of shape (H, W, ...)
    fan : shape (H, W), True where a beam reaches
    """

    maps: tuple[NDArray[np.int16], NDArray[np.uint16]]
    fan: NDArray[np.bool_]

    @classmethod
    def fit(cls, probe: Probe, spec: PhantomSpec) -> ScanConverter:
        """Fit the fan of a probe into the picture of a clip."""
        width, height = spec.size_wh
        box_mm = _extent(probe)
        px_per_mm = probe.zoom * min(width / box_mm[0], height / box_mm[1])
        left = (width - box_mm[0] * px_per_mm) * probe.shift[0]
        top = (height - box_mm[1] * px_per_mm) * probe.shift[1]
        columns, rows = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )
        x_mm = (columns - left) / px_per_mm - box_mm[0] / 2
        z_mm = (rows - top) / px_per_mm + box_mm[2]
        along, across = probe.grid(x_mm, z_mm)
        fan = (along >= 0) & (along <= SAMPLES - 1) & (across >= 0) & (across <= BEAMS - 1)
        outside = np.float32(-10)
        fixed = cv2.convertMaps(
            np.where(fan, across, outside), np.where(fan, along, outside), cv2.CV_16SC2
        )
        return cls((fixed[0].astype(np.int16), fixed[1].astype(np.uint16)), fan)

    def picture(self, beams: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scan-convert a (SAMPLES, BEAMS) map to (H, W), 0 outside the fan."""
        picture = cv2.remap(beams, *self.maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.where(self.fan, picture, 0).astype(np.uint8, copy=False)


def _extent(probe: Probe) -> tuple[float, float, float]:
    """Return width, height and topmost z of the view in mm."""
    if probe.linear:
        return probe.width_mm, probe.depth_mm, 0.0
    top = probe.radius_mm * (math.cos(probe.half_rad) - 1)
    half = min(probe.half_rad, math.pi / 2)
    return 2 * (probe.radius_mm + probe.depth_mm) * math.sin(half), probe.depth_mm - top, top
