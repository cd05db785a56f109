"""B-lines: trains of echoes from wet septa of the lung.

A B-line starts at the pleura, runs along the beam to the bottom of the screen without fading,
erases A-lines and moves with the lung.

References
----------
D. A. Lichtenstein and G. A. Meziere, Chest 134(1), 2008; G. Volpicelli et al., Intensive Care
Med. 38(4), 2012 (definition of the B-line).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.sources.phantom.canvas import Canvas, View, amplitude
from stream.sources.phantom.field import F32
from stream.sources.phantom.shapes import union

_SEEN_SHARE = 0.35
_BEAT_SAMPLES = 9


@dataclass(frozen=True, slots=True)
class Streak:
    """A B-line.

    Parameters
    ----------
    place_mm : where on the sliding lung it leaves the pleura, along the probe
    width_mm : half its width at the pleura
    level_db : its level
    plane_mm, plane_width_mm : planes in which it shows
    """

    place_mm: float
    width_mm: float
    level_db: float
    plane_mm: float
    plane_width_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, width_mm: float) -> Streak:
        """Draw a B-line within a view that is `width_mm` wide at the pleura."""
        return cls(
            place_mm=rng.uniform(-0.45, 0.45) * width_mm,
            width_mm=rng.uniform(0.8, 2.6),
            level_db=rng.uniform(6, 14),
            plane_mm=rng.uniform(-8, 8),
            plane_width_mm=rng.uniform(5, 12),
        )

    def strength(self, plane_mm: float) -> float:
        """Return how much of the B-line a plane shows, in [0, 1]."""
        return math.exp(-(((plane_mm - self.plane_mm) / self.plane_width_mm) ** 2))


def paint_streaks(streaks: Sequence[Streak], canvas: Canvas, view: View, below: F32) -> F32 | None:
    """Paint B-lines along the beams.

    Parameters
    ----------
    streaks : the B-lines of the lung
    canvas, view : the frame
    below : shape (S, B), depth below the pleura in mm

    Returns
    -------
    shape (S, B), signed distance to the nearest visible B-line, or None without one
    """
    top = at_pleura(view.x_mm, below)
    distances = []
    for streak in streaks:
        strength = streak.strength(view.plane_mm)
        away = np.abs(top - np.float32(streak.place_mm))
        across = np.exp(-np.square(away * np.float32(1 / streak.width_mm))) * np.float32(strength)
        share = np.where(below > 0, across, np.float32(0))
        _paint_train(canvas, view, share, below, streak.level_db)
        if strength > _SEEN_SHARE:
            distances.append(np.maximum(away - np.float32(1.1 * streak.width_mm), -below))
    return union(distances) if distances else None


def at_pleura(plane: F32, below: F32) -> F32:
    """Return the value of a map where each beam meets the pleura.

    Parameters
    ----------
    plane : shape (S, B)
    below : shape (S, B), depth below the pleura

    Returns
    -------
    shape (1, B)
    """
    rows = np.argmax(below > 0, axis=0)
    return np.asarray(plane[rows, np.arange(plane.shape[1])][None, :], dtype=np.float32)


def _paint_train(canvas: Canvas, view: View, share: F32, below: F32, level_db: float) -> None:
    """Replace A-lines and haze by a train of closely spaced echoes."""
    canvas.mirror *= 1 - 0.9 * share * (below > 2)
    level = np.float32(level_db) + 1.5 * view.grain + 2.0 * view.fibre
    canvas.echo_db += share * np.maximum(level - canvas.echo_db, 0)
    spacing_mm = _BEAT_SAMPLES * view.sample_mm
    beat = np.sin(below * np.float32(2 * math.pi / spacing_mm) + 2.0 * view.grain)
    level = np.asarray(np.float32(level_db) + 4.0 * beat, dtype=np.float32)
    canvas.mirror += np.float32(0.45) * share * share * amplitude(level)
