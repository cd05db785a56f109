"""What lies around an organ and occurs alike with every finding: vessels, cysts, gas, bowel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.canvas import BONE_LOSS, FLUID_DB, FLUID_LOSS, Canvas, View
from stream.sources.phantom.shapes import Blob


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Bodies that are no finding.

    Parameters
    ----------
    echo_db, patch_db, fibre_db : level, patchiness and stripes of the tissue behind everything
    line_db : strength of the folds and membranes in it
    fluids : clear bodies: vessels, simple cysts, gallbladder
    gas : surfaces of bowel gas, each with its shadow
    """

    echo_db: float
    patch_db: float
    fibre_db: float
    line_db: float
    fluids: tuple[Blob, ...]
    gas: tuple[Blob, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, depth_mm: float, clear_mm: float) -> Surroundings:
        """Draw bodies outside a zone of half-width `clear_mm` around the middle of the view."""
        fluids = [_vessel(rng, depth_mm, clear_mm) for _ in range(int(rng.integers(0, 3)))]
        if rng.random() < 0.35:
            fluids.append(_bladder(rng, depth_mm, clear_mm))
        gas = [_gas(rng, depth_mm, clear_mm) for _ in range(int(rng.integers(0, 3)))]
        return cls(
            echo_db=rng.uniform(-3, 4),
            patch_db=rng.uniform(2, 4.5),
            fibre_db=rng.uniform(1, 3),
            line_db=rng.uniform(0, 11),
            fluids=tuple(fluids),
            gas=tuple(gas),
        )

    def paint_tissue(self, canvas: Canvas, view: View) -> None:
        """Paint the tissue behind everything."""
        patches = self.patch_db * view.blotch + self.fibre_db * view.fibre + 2.0 * view.grain
        canvas.echo_db[:] = np.float32(self.echo_db) + patches
        for offset in (-1.1, 0.0, 1.1):
            height = view.blotch + 0.25 * view.grain - np.float32(offset)
            fold_mm = height * np.float32(view.scale_mm)
            canvas.surface(fold_mm, self.line_db + 3.0 * offset, 0.8, 0.0)

    def paint_bodies(self, canvas: Canvas, view: View) -> None:
        """Paint vessels, cysts and gas."""
        for blob in self.fluids:
            inside = blob.distance(view.points)
            canvas.fill(inside, FLUID_DB, FLUID_LOSS)
            canvas.surface(inside, 3.0)
        for blob in self.gas:
            inside = blob.distance(view.points) + view.grain
            canvas.fill(inside, 9.0 + 4.0 * view.grain, 0.25 * BONE_LOSS, 2.0)


def _side(rng: np.random.Generator) -> float:
    return -1.0 if rng.random() < 0.5 else 1.0


def _vessel(rng: np.random.Generator, depth_mm: float, clear_mm: float) -> Blob:
    thick = depth_mm * rng.uniform(0.012, 0.045)
    place = (_side(rng) * clear_mm * rng.uniform(0.7, 1.5), depth_mm * rng.uniform(0.5, 0.92), 0.0)
    return Blob(place, (thick * rng.uniform(1.2, 7), thick, 60.0), rng.uniform(-0.6, 0.6))


def _bladder(rng: np.random.Generator, depth_mm: float, clear_mm: float) -> Blob:
    thick = depth_mm * rng.uniform(0.05, 0.11)
    place = (_side(rng) * clear_mm * rng.uniform(0.9, 1.5), depth_mm * rng.uniform(0.2, 0.5), 0.0)
    return Blob(place, (thick * rng.uniform(1, 2.2), thick, 3 * thick), rng.uniform(-0.7, 0.7))


def _gas(rng: np.random.Generator, depth_mm: float, clear_mm: float) -> Blob:
    thick = depth_mm * rng.uniform(0.008, 0.02)
    place = (_side(rng) * clear_mm * rng.uniform(0.8, 1.7), depth_mm * rng.uniform(0.35, 0.9), 0.0)
    return Blob(place, (thick * rng.uniform(2, 6), thick, 40.0), rng.uniform(-0.5, 0.5))
