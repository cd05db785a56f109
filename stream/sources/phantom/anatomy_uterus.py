"""The uterus, with or without a fibroid.

A fibroid is a round, well defined, mostly hypoechoic mass with a whorled texture; it attenuates
more than the muscle around it and its edge bends sound away, which leaves shadows.

References
----------
T. Van den Bosch et al., "Terms, definitions and measurements to describe sonographic features of
myometrium and uterine masses" (MUSA), Ultrasound Obstet. Gynecol. 46(3), 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.canvas import FLUID_DB, FLUID_LOSS, Canvas, View
from stream.sources.phantom.field import F32
from stream.sources.phantom.shapes import Blob, Points, smooth_union
from stream.sources.phantom.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Fibroid:
    """A fibroid: its body and looks.

    Parameters
    ----------
    body : outline
    echo_db : echogenicity relative to the muscle
    whorl_db, whorl_mm : contrast and width of the whorls
    loss : attenuation in dB / (cm MHz)
    """

    body: Blob
    echo_db: float
    whorl_db: float
    whorl_mm: float
    loss: float


@dataclass(frozen=True, slots=True)
class Uterus:
    """A uterus in its surroundings, lengths in mm.

    Parameters
    ----------
    centre_mm, turn : where it lies and how it is turned
    body, cervix : the two parts of the outline
    lining : the endometrium
    muscle_db, lining_db : echogenicity
    fibroid : the finding, or None
    bladder : a bladder between probe and uterus, or None
    around : everything else
    """

    centre_mm: tuple[float, float, float]
    turn: float
    body: Blob
    cervix: Blob
    lining: Blob
    muscle_db: float
    lining_db: float
    fibroid: Fibroid | None
    bladder: Blob | None
    around: Surroundings

    @classmethod
    def draw(
        cls, rng: np.random.Generator, finding: str, depth_mm: float, abdominal: bool
    ) -> Uterus:
        """Draw a uterus; the same random state gives the same uterus with either finding."""
        size = depth_mm * rng.uniform(0.9, 1.15) * (0.30 if abdominal else 0.42)
        half = (size, size * rng.uniform(0.46, 0.58), size * 0.6)
        place = (rng.uniform(-0.08, 0.08) * depth_mm, rng.uniform(0.48, 0.56) * depth_mm, 0.0)
        thin = size * rng.uniform(0.05, 0.13)
        fibroid = _fibroid(rng, half)
        return cls(
            centre_mm=place,
            turn=rng.uniform(-0.4, 0.4) + (math.pi if rng.random() < 0.5 else 0.0),
            body=Blob((0, 0, 0), half),
            cervix=Blob((1.1 * size, 0, 0), (0.55 * size, 0.33 * size, 0.35 * size)),
            lining=Blob(
                (0.05 * size, 0, 0), (0.68 * size, thin, 0.4 * size), rng.uniform(-0.08, 0.08)
            ),
            muscle_db=rng.uniform(-7, -3),
            lining_db=rng.uniform(4, 8),
            fibroid=fibroid if finding == "fibroid" else None,
            bladder=_bladder(rng, depth_mm) if abdominal else None,
            around=Surroundings.draw(rng, depth_mm, 0.45 * depth_mm),
        )

    def paint(self, canvas: Canvas, view: View) -> F32 | None:
        """Paint the uterus and return the signed distance to the fibroid, None without one."""
        at = view.points.placed(self.centre_mm, self.turn, 0.0)
        self.around.paint_tissue(canvas, view)
        self.around.paint_bodies(canvas, view)
        outline = smooth_union([self.body.distance(at), self.cervix.distance(at)], 12.0)
        outline = outline + 0.6 * view.blotch
        muscle = np.float32(self.muscle_db) + 1.2 * view.fibre + 0.8 * view.grain
        canvas.fill(outline - np.float32(2.5), 5.0 + 2.0 * view.grain, soft_mm=2.5)
        canvas.fill(outline, muscle, 0.65, 1.0)
        canvas.surface(outline, 6.0)
        self._paint_lining(canvas, view, at)
        distance = (
            None if self.fibroid is None else self._paint_fibroid(self.fibroid, canvas, view, at)
        )
        if self.bladder is not None:
            inside = self.bladder.distance(view.points)
            canvas.fill(inside, FLUID_DB, FLUID_LOSS)
            canvas.surface(inside, 5.0)
        return distance

    def _paint_lining(self, canvas: Canvas, view: View, at: Points) -> None:
        lining = self.lining.distance(at) + 0.4 * view.grain
        canvas.fill(lining - np.float32(2.5), self.muscle_db - 4.0, soft_mm=2.0, share=0.7)
        canvas.fill(lining, np.float32(self.lining_db) + view.grain, soft_mm=1.2)
        middle = Blob(self.lining.centre_mm, (self.lining.radii_mm[0], 0.3, 20.0), self.lining.turn)
        canvas.surface(middle.distance(at), 3.0, 0.4)

    def _paint_fibroid(self, fibroid: Fibroid, canvas: Canvas, view: View, at: Points) -> F32:
        distance = fibroid.body.distance(at) + 0.5 * view.blotch
        rings = np.sin(distance * np.float32(2 * math.pi / fibroid.whorl_mm) + 2.5 * view.blotch)
        level = self.muscle_db + fibroid.echo_db
        echo = level + np.float32(fibroid.whorl_db) * rings + 1.5 * view.grain
        canvas.fill(distance - np.float32(1.0), level - 2, share=0.7)
        canvas.fill(distance, echo, fibroid.loss, 1.0)
        canvas.surface(distance, 4.0, 0.6)
        canvas.edge_shadow(distance, 3.0, 1.2)
        return distance


def _fibroid(rng: np.random.Generator, half: tuple[float, float, float]) -> Fibroid:
    angle, reach = rng.uniform(-math.pi, math.pi), rng.uniform(0.45, 0.95)
    size = half[1] * rng.uniform(0.45, 0.85)
    place = (reach * half[0] * math.cos(angle), reach * half[1] * math.sin(angle), 0.0)
    body = Blob(place, (size, size * rng.uniform(0.82, 1.0), size), rng.uniform(-0.5, 0.5))
    return Fibroid(
        body=body,
        echo_db=rng.uniform(-7, -3),
        whorl_db=rng.uniform(2.0, 4.5),
        whorl_mm=size * rng.uniform(0.3, 0.6),
        loss=rng.uniform(0.65, 1.1),
    )


def _bladder(rng: np.random.Generator, depth_mm: float) -> Blob:
    place = (rng.uniform(-0.15, 0.15) * depth_mm, rng.uniform(0.18, 0.24) * depth_mm, 0.0)
    half = (rng.uniform(0.2, 0.34) * depth_mm, rng.uniform(0.06, 0.12) * depth_mm, 60.0)
    return Blob(place, half, rng.uniform(-0.15, 0.15))
