"""The layers between probe and organ: skin, fat, fascia, muscle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.canvas import Canvas, View
from stream.sources.phantom.field import F32


@dataclass(frozen=True, slots=True)
class Wall:
    """Thicknesses and looks of the body wall, in mm from the probe's face.

    Parameters
    ----------
    skin_mm, fat_mm, muscle_mm : thickness of each layer
    skin_db, fat_db, muscle_db : echogenicity
    septa_db : strength of the bright lines in fat and muscle
    ring_mm : depth of the probe's own ringing
    wave_mm : undulation of the layers
    """

    skin_mm: float
    fat_mm: float
    muscle_mm: float
    skin_db: float
    fat_db: float
    muscle_db: float
    septa_db: float
    ring_mm: float
    wave_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, total_mm: tuple[float, float]) -> Wall:
        """Draw a wall with a thickness in a range."""
        total = rng.uniform(*total_mm)
        skin = total * rng.uniform(0.06, 0.12)
        fat = (total - skin) * rng.uniform(0.25, 0.7)
        return cls(
            skin_mm=skin,
            fat_mm=fat,
            muscle_mm=total - skin - fat,
            skin_db=rng.uniform(-3, 5),
            fat_db=rng.uniform(-9, -1),
            muscle_db=rng.uniform(-8, -2),
            septa_db=rng.uniform(2.5, 5.5),
            ring_mm=total * rng.uniform(0.04, 0.1),
            wave_mm=total * rng.uniform(0.02, 0.06),
        )

    @property
    def total_mm(self) -> float:
        """Thickness of the whole wall."""
        return self.skin_mm + self.fat_mm + self.muscle_mm

    def paint(self, canvas: Canvas, view: View) -> F32:
        """Paint the wall over what lies behind it.

        Returns
        -------
        shape (S, B), signed distance to the inner surface, negative within the wall
        """
        depth = view.depth_mm + view.blotch * np.float32(self.wave_mm)
        inner = depth - np.float32(self.total_mm)
        muscle = self.muscle_db + self.septa_db * view.fibre + view.grain
        fat = self.fat_db + 0.8 * self.septa_db * view.fibre + 1.5 * view.grain
        canvas.fill(inner, muscle, 0.7)
        canvas.fill(depth - np.float32(self.skin_mm + self.fat_mm), fat, 0.55)
        canvas.fill(depth - np.float32(self.skin_mm), np.float32(self.skin_db) + view.fibre, 0.6)
        canvas.surface(inner, 4.0, 0.7)
        canvas.surface(inner + np.float32(0.45 * self.muscle_mm), 1.0, 0.5)
        canvas.surface(depth - np.float32(self.skin_mm + self.fat_mm), 6.0, 0.6)
        canvas.surface(depth - np.float32(self.skin_mm), 4.0, 0.5)
        ringing = np.exp(view.depth_mm * np.float32(-1 / self.ring_mm))
        beats = np.cos(view.depth_mm * np.float32(5 / self.ring_mm))
        canvas.echo_db += (9 * ringing * beats).astype(np.float32)
        return inner
