"""The ovary, with few follicles or with the many small ones of polycystic morphology.

References
----------
A. H. Balen et al., "Ultrasound assessment of the polycystic ovary: international consensus
definitions", Hum. Reprod. Update 9(6), 2003 (twelve or more follicles of 2 to 9 mm, or a volume
above 10 ml; follicles often along the edge, stroma bright).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.canvas import FLUID_DB, FLUID_LOSS, Canvas, View
from stream.sources.phantom.field import F32
from stream.sources.phantom.shapes import Blob, Points, union
from stream.sources.phantom.surroundings import Surroundings

MANY_IN_PLANE = 5
"""Follicles of the plane from which a frame shows polycystic morphology."""

_TRIES = 900


@dataclass(frozen=True, slots=True)
class Ovary:
    """An ovary in its surroundings, lengths in mm.

    Parameters
    ----------
    centre_mm, turn : where it lies and how it is turned
    body : outline
    follicles : clear follicles
    many : whether they are the finding
    stroma_db, rim_db : echogenicity of the middle and of the outer part
    bladder : a full bladder between probe and ovary, or None
    around : everything else
    """

    centre_mm: tuple[float, float, float]
    turn: float
    body: Blob
    follicles: tuple[Blob, ...]
    many: bool
    stroma_db: float
    rim_db: float
    bladder: Blob | None
    around: Surroundings

    @classmethod
    def draw(
        cls, rng: np.random.Generator, finding: str, depth_mm: float, abdominal: bool
    ) -> Ovary:
        """Draw an ovary; only its follicles and stroma depend on the finding."""
        many = finding == "many"
        scale = rng.uniform(0.9, 1.2) * (0.8 + depth_mm / 210)
        half = (17 * scale, 11.5 * scale * rng.uniform(0.9, 1.1), 11 * scale)
        place = rng.uniform(0.5, 0.6) if abdominal else rng.uniform(0.36, 0.5)
        centre = (rng.uniform(-0.15, 0.15) * depth_mm, place * depth_mm, 0.0)
        turn, rim = rng.uniform(-0.6, 0.6), rng.uniform(-9, -4)
        around = Surroundings.draw(rng, depth_mm, 0.42 * depth_mm)
        bladder = _bladder(rng, depth_mm) if abdominal else None
        return cls(
            centre_mm=centre,
            turn=turn,
            body=Blob((0, 0, 0), half),
            follicles=_many(rng, half) if many else _few(rng, half),
            many=many,
            stroma_db=rim + rng.uniform(3, 6) if many else rim + rng.uniform(0, 4),
            rim_db=rim,
            bladder=bladder,
            around=around,
        )

    def paint(self, canvas: Canvas, view: View) -> F32 | None:
        """Paint the ovary and return the signed distance to the finding, None without one.

        The finding is the whole ovary, in planes that cut at least `MANY_IN_PLANE` follicles:
        no follicle alone tells a polycystic ovary from a normal one.
        """
        at = view.points.placed(self.centre_mm, self.turn, 0.0)
        self.around.paint_tissue(canvas, view)
        self.around.paint_bodies(canvas, view)
        body = self.body.distance(at) + 0.5 * view.blotch
        self._paint_body(canvas, view, at, body)
        plane = view.plane_mm
        cut = [f for f in self.follicles if abs(plane - f.centre_mm[2]) < 0.85 * f.radii_mm[2]]
        self._paint_follicles(canvas, view, at, cut)
        if self.bladder is not None:
            inside = self.bladder.distance(view.points)
            canvas.fill(inside, FLUID_DB, FLUID_LOSS)
            canvas.surface(inside, 5.0)
        return body if self.many and len(cut) >= MANY_IN_PLANE else None

    def _paint_body(self, canvas: Canvas, view: View, at: Points, body: F32) -> None:
        canvas.fill(body - np.float32(1.5), 4.0 + 2.5 * view.grain, soft_mm=2.0)
        canvas.fill(body, np.float32(self.rim_db) + view.grain, soft_mm=0.8)
        core = self.body.distance(at) + np.float32(0.4 * self.body.radii_mm[1])
        canvas.fill(core, np.float32(self.stroma_db) + 1.5 * view.grain, soft_mm=3.0)
        canvas.surface(body, 4.0, 0.5)

    def _paint_follicles(self, canvas: Canvas, view: View, at: Points, cut: list[Blob]) -> None:
        if cut:
            inside = union([blob.distance(at) for blob in cut]) + 0.12 * view.grain
            canvas.fill(inside, FLUID_DB, FLUID_LOSS, 0.5)
            canvas.surface(inside, 5.0, 0.4)
            canvas.edge_shadow(inside, 0.6, 0.5)


def _many(rng: np.random.Generator, half: tuple[float, float, float]) -> tuple[Blob, ...]:
    return _placed(rng, half, rng.uniform(1.8, 4.0, int(rng.integers(40, 90))), (0.55, 0.98))


def _few(rng: np.random.Generator, half: tuple[float, float, float]) -> tuple[Blob, ...]:
    sizes = rng.uniform(1.5, 4.5, int(rng.integers(2, 7)))
    if rng.random() < 0.4:
        sizes = np.append(rng.uniform(5.0, 0.75 * half[1]), sizes)
    return _placed(rng, half, sizes, (0.1, 1.0))


def _placed(
    rng: np.random.Generator,
    half: tuple[float, float, float],
    sizes: np.ndarray[tuple[int], np.dtype[np.float64]],
    shell: tuple[float, float],
) -> tuple[Blob, ...]:
    """Place balls within a shell of an ellipsoid so that none overlap."""
    placed: list[Blob] = []
    waiting = [float(size) for size in sizes[::-1]]
    for _ in range(_TRIES):
        if not waiting:
            break
        blob = _try_blob(rng, half, waiting[-1], shell)
        if all(_apart(blob, other) for other in placed):
            placed.append(blob)
            waiting.pop()
    return tuple(placed)


def _try_blob(
    rng: np.random.Generator,
    half: tuple[float, float, float],
    size: float,
    shell: tuple[float, float],
) -> Blob:
    way = rng.standard_normal(3)
    way *= rng.uniform(*shell) / math.sqrt(float(way @ way))
    room = [max(0.1, side - size - 0.8) for side in half]
    place = (float(way[0]) * room[0], float(way[1]) * room[1], float(way[2]) * room[2])
    radii = (size * rng.uniform(0.9, 1.25), size * rng.uniform(0.75, 1.0), size)
    return Blob(place, radii, rng.uniform(-0.7, 0.7))


def _apart(one: Blob, other: Blob) -> bool:
    gap = one.radii_mm[0] + other.radii_mm[0]
    return math.dist(one.centre_mm, other.centre_mm) > 0.86 * gap


def _bladder(rng: np.random.Generator, depth_mm: float) -> Blob:
    place = (rng.uniform(-0.1, 0.1) * depth_mm, 0.24 * depth_mm, 0.0)
    half = (rng.uniform(0.25, 0.36) * depth_mm, rng.uniform(0.1, 0.15) * depth_mm, 60.0)
    return Blob(place, half, rng.uniform(-0.1, 0.1))
