"""Signed distances in mm, negative inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from stream.sources.phantom.field import F32


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Positions in the frame of an organ, in mm.

    Parameters
    ----------
    u, v, w : shape (S, B): along the organ, away from the probe, across the imaging plane
    """

    u: F32
    v: F32
    w: F32

    def placed(self, centre_mm: tuple[float, float, float], turn: float, yaw: float) -> Points:
        """Return the points in the frame of an organ.

        Parameters
        ----------
        centre_mm : where the organ lies in this frame
        turn : turn of the organ within the imaging plane, radians
        yaw : turn of the imaging plane about the vertical, radians
        """
        u, v, w = self.u - centre_mm[0], self.v - centre_mm[1], self.w - centre_mm[2]
        if yaw:
            u, w = _rotated(u, w, yaw)
        if turn:
            u, v = _rotated(u, v, turn)
        return Points(u, v, w)


@dataclass(frozen=True, slots=True)
class Blob:
    """An ellipsoid.

    Parameters
    ----------
    centre_mm : along u, v, w
    radii_mm : half axes along its own u, v and along w
    turn : turn within the (u, v) plane, radians
    """

    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    turn: float = 0.0

    def distance(self, at: Points) -> F32:
        """Return the approximate distance to the surface.

        Exact on the surface to first order: k0 (k0 - 1) / k1 with k0 the norm of the position in
        half axes and k1 the norm of its gradient.
        """
        here = at.placed(self.centre_mm, self.turn, 0.0)
        a, b, c = self.radii_mm
        scaled_u, scaled_v, scaled_w = here.u * (1 / a), here.v * (1 / b), here.w * (1 / c)
        k0 = np.sqrt(scaled_u * scaled_u + scaled_v * scaled_v + scaled_w * scaled_w)
        scaled_u *= 1 / a
        scaled_v *= 1 / b
        scaled_w = scaled_w * (1 / c)
        k1 = np.sqrt(scaled_u * scaled_u + scaled_v * scaled_v + scaled_w * scaled_w)
        return np.asarray(k0 * (k0 - 1) / (k1 + np.float32(1e-6)), dtype=np.float32)


def union(distances: Sequence[F32]) -> F32:
    """Return the distance to the nearest of several bodies."""
    return reduce(np.minimum, distances)


def smooth_union(distances: Sequence[F32], blend_mm: float) -> F32:
    """Return the union with necks of about `blend_mm` between bodies that nearly touch."""
    return reduce(lambda one, other: _blend(one, other, blend_mm), distances)


def carve(body: F32, tool: F32, blend_mm: float) -> F32:
    """Return a body less another, with a rounded edge."""
    return -_blend(-body, tool, blend_mm)


def _blend(one: F32, other: F32, blend_mm: float) -> F32:
    near = np.maximum(blend_mm - np.abs(one - other), 0)
    return np.asarray(np.minimum(one, other) - near * near * (0.25 / blend_mm), dtype=np.float32)


def _rotated(first: F32, second: F32, angle: float) -> tuple[F32, F32]:
    cosine, sine = math.cos(angle), math.sin(angle)
    return first * cosine + second * sine, second * cosine - first * sine
