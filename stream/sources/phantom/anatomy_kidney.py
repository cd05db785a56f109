"""The kidney, with a normal or a dilated renal pelvis.

Echogenicity follows the usual order: sinus fat above perirenal fat above liver above cortex
above pyramids above urine. A dilated pelvis with blunt calyces and thinning parenchyma is the
picture of an obstruction at the pelvi-ureteric junction.

References
----------
S. K. Fernbach, M. Maizels, J. J. Conway, "Ultrasound grading of hydronephrosis", Pediatr.
Radiol. 23(6), 1993 (pelvis, then calyces, then parenchyma, by severity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.canvas import FLUID_DB, FLUID_LOSS, Canvas, View
from stream.sources.phantom.field import F32
from stream.sources.phantom.shapes import Blob, Points, carve, smooth_union, union
from stream.sources.phantom.surroundings import Surroundings

_CORTEX_LOSS = 0.6


@dataclass(frozen=True, slots=True)
class Kidney:
    """A kidney in its surroundings, lengths in mm.

    Parameters
    ----------
    centre_mm, turn, yaw : where it lies and how it is turned
    body, notch, sinus : outline, indentation at the hilum, fat in the middle
    pyramids : medulla, around the sinus
    pelvis, calyces : urine; thin and closed when normal
    dilated : whether that urine is a finding
    fat_mm, cortex_db, pyramid_db, sinus_db : looks
    liver : the neighbour above
    cyst : a simple cyst in the cortex, or None
    around : everything else
    """

    centre_mm: tuple[float, float, float]
    turn: float
    yaw: float
    body: Blob
    notch: Blob
    sinus: Blob
    pyramids: tuple[Blob, ...]
    pelvis: Blob
    calyces: tuple[Blob, ...]
    dilated: bool
    fat_mm: float
    cortex_db: float
    pyramid_db: float
    sinus_db: float
    liver: Blob | None
    cyst: Blob | None
    around: Surroundings

    @classmethod
    def draw(cls, rng: np.random.Generator, finding: str, depth_mm: float) -> Kidney:
        """Draw a kidney; the same random state gives the same kidney with either finding."""
        grade = rng.uniform(0, 1)
        dilated = finding == "dilated"
        scale = depth_mm / 150 * rng.uniform(0.85, 1.15)
        a, b, c = 54 * scale, 25 * scale * rng.uniform(0.9, 1.1), 27 * scale
        angles = _around_hilum(rng, int(rng.integers(6, 10)))
        swell = grade if dilated else 0.0
        return cls(
            centre_mm=(
                rng.uniform(-0.12, 0.12) * depth_mm,
                rng.uniform(0.42, 0.56) * depth_mm,
                0.0,
            ),
            turn=rng.uniform(-0.5, 0.5) + (math.pi if rng.random() < 0.25 else 0.0),
            yaw=_yaw(rng),
            body=Blob((0, 0, 0), (a, b, c)),
            notch=Blob((rng.uniform(-0.1, 0.1) * a, 1.25 * b, 0), (0.34 * a, 0.55 * b, 0.6 * c)),
            sinus=Blob((0, 0.16 * b, 0), (0.56 * a, 0.42 * b, 0.55 * c), rng.uniform(-0.1, 0.1)),
            pyramids=tuple(_pyramid(rng, angle, a, b, c) for angle in angles),
            pelvis=_pelvis(rng, swell, dilated, (a, b, c)),
            calyces=tuple(_calyx(rng, angle, swell, (a, b, c)) for angle in angles),
            dilated=dilated,
            fat_mm=rng.uniform(2, 7),
            cortex_db=rng.uniform(-6, -1.5),
            pyramid_db=rng.uniform(-6, -2),
            sinus_db=rng.uniform(7, 12),
            liver=_liver(rng, depth_mm) if rng.random() < 0.7 else None,
            cyst=_cyst(rng, (a, b)) if rng.random() < 0.4 else None,
            around=Surroundings.draw(rng, depth_mm, 0.4 * depth_mm),
        )

    def paint(self, canvas: Canvas, view: View) -> F32 | None:
        """Paint the kidney and return the signed distance to the finding, None without one."""
        at = view.points.placed(self.centre_mm, self.turn, self.yaw)
        self.around.paint_tissue(canvas, view)
        self._paint_liver(canvas, view)
        self.around.paint_bodies(canvas, view)
        body = carve(self.body.distance(at), self.notch.distance(at), 8.0) + 0.5 * view.grain
        fat = 4.0 + 2.5 * view.blotch + 1.5 * view.grain
        canvas.fill(body - np.float32(self.fat_mm), fat, 0.55, 2.0)
        self._paint_parenchyma(canvas, view, at, body)
        if self.cyst is not None:
            cyst = self.cyst.distance(at)
            canvas.fill(cyst, FLUID_DB, FLUID_LOSS)
            canvas.surface(cyst, 5.0)
            canvas.edge_shadow(cyst, 1.0)
        return self._paint_urine(canvas, view, at)

    def _paint_liver(self, canvas: Canvas, view: View) -> None:
        if self.liver is not None:
            inside = self.liver.distance(view.points)
            canvas.fill(inside, 0.8 * view.blotch + 0.8 * view.grain, soft_mm=1.5)
            canvas.surface(inside, 3.0)

    def _paint_parenchyma(self, canvas: Canvas, view: View, at: Points, body: F32) -> None:
        canvas.fill(body, np.float32(self.cortex_db) + view.grain, _CORTEX_LOSS, 1.0)
        canvas.surface(body, 7.0, 0.8)
        canvas.edge_shadow(body, 0.6)
        pyramids = np.maximum(union([blob.distance(at) for blob in self.pyramids]), body + 4.0)
        pyramid_db = np.float32(self.cortex_db + self.pyramid_db) + view.grain
        canvas.fill(pyramids, pyramid_db, _CORTEX_LOSS, 3.0, 0.9)
        sinus = self.sinus.distance(at) + 2.0 * view.blotch + 1.5 * view.grain
        sinus_db = np.float32(self.sinus_db) + 3.0 * view.grain + 3.0 * view.speck
        canvas.fill(sinus, sinus_db, 0.6, 3.0)

    def _paint_urine(self, canvas: Canvas, view: View, at: Points) -> F32 | None:
        if not self.dilated:
            slit = self.pelvis.distance(at)
            canvas.fill(slit, FLUID_DB, FLUID_LOSS, 1.0)
            return None
        calyces = smooth_union([blob.distance(at) for blob in self.calyces], 2.0)
        urine = smooth_union([self.pelvis.distance(at), calyces], 5.0) + 0.25 * view.grain
        canvas.fill(urine, FLUID_DB, FLUID_LOSS, 0.8)
        canvas.surface(urine, 6.0)
        canvas.edge_shadow(urine, 0.6)
        return urine


def _yaw(rng: np.random.Generator) -> float:
    across = rng.random() < 0.2
    return rng.uniform(-0.35, 0.35) + (math.pi / 2 if across else 0.0)


def _around_hilum(rng: np.random.Generator, count: int) -> list[float]:
    """Return directions spread over the side away from the hilum (which lies at +90 degrees)."""
    spread = np.linspace(-math.pi * 1.22, math.pi * 0.22, count)
    return [float(angle) + rng.uniform(-0.12, 0.12) for angle in spread]


def _pyramid(rng: np.random.Generator, angle: float, a: float, b: float, c: float) -> Blob:
    reach = rng.uniform(0.66, 0.74)
    place = (reach * a * math.cos(angle), reach * b * math.sin(angle), rng.uniform(-0.25, 0.25) * c)
    size = rng.uniform(0.85, 1.15)
    slope = math.atan2(a * math.sin(angle), b * math.cos(angle))
    return Blob(place, (0.20 * b * size + 2, 0.17 * b * size + 1.5, 0.4 * c), slope)


def _pelvis(
    rng: np.random.Generator, swell: float, dilated: bool, half_axes: tuple[float, float, float]
) -> Blob:
    a, b, c = half_axes
    jitter, slit, length = rng.uniform(-0.08, 0.08), rng.uniform(0.01, 0.09), rng.uniform(0.1, 0.26)
    if not dilated:
        return Blob((jitter * a, 0.2 * b, 0), (length * a, slit * b, 0.2 * c), 3 * jitter)
    radii = ((0.20 + 0.16 * swell) * a, (0.24 + 0.30 * swell) * b, (0.26 + 0.20 * swell) * c)
    return Blob((jitter * a, (0.28 + 0.2 * swell) * b, 0), radii, 2 * jitter)


def _calyx(
    rng: np.random.Generator, angle: float, swell: float, half_axes: tuple[float, float, float]
) -> Blob:
    a, b, c = half_axes
    reach = rng.uniform(0.36, 0.43) + 0.1 * swell
    place = (reach * a * math.cos(angle), reach * b * math.sin(angle), rng.uniform(-0.2, 0.2) * c)
    size = (0.10 + 0.17 * swell) * b * rng.uniform(0.8, 1.25)
    slope = math.atan2(b * math.sin(angle), a * math.cos(angle))
    return Blob(place, (size * 1.25 + (0.06 - 0.03 * swell) * a, size, size * 1.5), slope)


def _liver(rng: np.random.Generator, depth_mm: float) -> Blob:
    place = (rng.uniform(-0.35, 0.35) * depth_mm, rng.uniform(0.1, 0.25) * depth_mm, 0.0)
    return Blob(
        place, (0.75 * depth_mm, rng.uniform(0.3, 0.45) * depth_mm, 100), rng.uniform(-0.3, 0.3)
    )


def _cyst(rng: np.random.Generator, half_axes: tuple[float, float]) -> Blob:
    angle = rng.uniform(-math.pi, 0)
    a, b = half_axes
    size = b * rng.uniform(0.16, 0.5)
    place = (0.92 * a * math.cos(angle), 0.92 * b * math.sin(angle), rng.uniform(-6, 6))
    return Blob(place, (size, size * rng.uniform(0.8, 1.0), size))
