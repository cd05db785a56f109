"""The lung: A-lines, B-lines or a consolidation below a sliding pleural line.

Sound hardly enters aerated lung, so what shows below the pleura is artefact: echoes that bounced
between pleura and probe (A-lines, at multiples of the pleural depth), and trains of echoes from
wet septa (B-lines). Consolidated lung lets sound through and looks like liver with bright trapped
air.

References
----------
D. A. Lichtenstein and G. A. Meziere, "Relevance of lung ultrasound in the diagnosis of acute
respiratory failure: the BLUE protocol", Chest 134(1), 2008. G. Volpicelli et al., "International
evidence-based recommendations for point-of-care lung ultrasound", Intensive Care Med. 38(4), 2012.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stream.sources.phantom.b_lines import Streak, at_pleura, paint_streaks
from stream.sources.phantom.canvas import BONE_LOSS, Canvas, View
from stream.sources.phantom.field import F32
from stream.sources.phantom.shapes import Blob


@dataclass(frozen=True, slots=True)
class Lung:
    """A lung seen between ribs, lengths in mm.

    Parameters
    ----------
    pleura_mm, slope : depth of the pleural line and its tilt
    bow, wave_mm : its curvature per mm and its undulation
    haze_db, haze_fall : level of the artefact below the pleura and its fall in dB per mm
    a_line_db : level of the first A-line
    muscle_db : intercostal muscle
    ribs : ribs with their shadows
    streaks : B-lines
    solid : consolidated lung, or None
    shred_mm : raggedness of its deep border
    """

    pleura_mm: float
    slope: float
    bow: float
    wave_mm: float
    haze_db: float
    haze_fall: float
    a_line_db: float
    muscle_db: float
    ribs: tuple[Blob, ...]
    streaks: tuple[Streak, ...]
    solid: Blob | None
    shred_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, finding: str, depth_mm: float, width_mm: float) -> Lung:
        """Draw a lung; ribs and pleura do not depend on the finding.

        Parameters
        ----------
        rng : source of randomness
        finding : of the lung
        depth_mm, width_mm : imaging depth, and width of the view at the pleura
        """
        pleura = min(0.32 * depth_mm, rng.uniform(13, 30))
        ribs = _ribs(rng, pleura, width_mm) if rng.random() < min(0.6, width_mm / 150) else ()
        lung = cls(
            pleura_mm=pleura,
            slope=rng.uniform(-0.07, 0.07),
            bow=rng.uniform(-0.001, 0.005),
            wave_mm=rng.uniform(0.002, 0.008) * depth_mm,
            haze_db=rng.uniform(-6, 3),
            haze_fall=rng.uniform(6, 16) / depth_mm,
            a_line_db=rng.uniform(2, 9),
            muscle_db=rng.uniform(-6, -1),
            ribs=ribs,
            streaks=(),
            solid=None,
            shred_mm=rng.uniform(0.012, 0.03) * depth_mm,
        )
        return _with_finding(lung, rng, finding, depth_mm, width_mm)

    def paint(self, canvas: Canvas, view: View) -> F32 | None:
        """Paint chest wall and lung; return the signed distance to the finding, None without."""
        bend = self.slope + view.x_mm * np.float32(self.bow)
        flat_mm = np.float32(self.pleura_mm) + view.x_mm * bend
        below = view.depth_mm - flat_mm - self.wave_mm * view.blotch
        canvas.echo_db[:] = np.float32(self.muscle_db) + 3.0 * view.fibre + view.grain
        canvas.fill(-below, self._haze(view, below), soft_mm=0.8)
        for order in range(1, 6):
            self._paint_a_line(canvas, below - flat_mm * order, order)
        canvas.surface(below, 17.0, 0.9, 0.3)
        finding = paint_streaks(self.streaks, canvas, view, below)
        if self.solid is not None:
            finding = self._paint_solid(self.solid, canvas, view, below)
        self._paint_ribs(canvas, view)
        return finding

    def _haze(self, view: View, below: F32) -> F32:
        """Return the level below the pleura: it falls with depth and differs from beam to beam."""
        rays = at_pleura(view.grain + view.blotch, below)
        level = np.float32(self.haze_db) - below * np.float32(self.haze_fall)
        return np.asarray(level + 1.6 * rays + 0.8 * view.grain + 1.5 * view.fibre)

    def _paint_a_line(self, canvas: Canvas, away: F32, order: int) -> None:
        """Repeat the pleura at a multiple of its depth, fainter and wider each time."""
        level = self.a_line_db - 4.0 * (order - 1)
        canvas.surface(away, level, 0.9 + 0.3 * order, 0.0)
        canvas.surface(away + np.float32(0.23 * self.pleura_mm), level - 9.0, 1.2, 0.0)

    def _paint_solid(self, solid: Blob, canvas: Canvas, view: View, below: F32) -> F32:
        ragged = self.shred_mm * (0.8 * view.blotch + 0.6 * view.grain + 0.15 * view.speck)
        inside: F32 = np.maximum(solid.distance(view.points) + ragged, 0.5 - below)
        tissue = -5.0 + 1.5 * view.grain + 1.5 * view.blotch
        covered = np.max(np.clip(-inside, 0, 1), axis=0)[None, :] * (below > 1.0)
        canvas.mirror *= 1 - covered
        beyond = np.exp(-np.maximum(inside, 0) * np.float32(1 / (4 * self.shred_mm))) * covered
        canvas.echo_db += beyond * (10.0 + 3.0 * view.grain + 2.0 * view.speck)
        canvas.fill(inside, tissue, 0.45, 1.2)
        air = np.clip((view.speck + 0.6 * view.fibre - 1.7) * 2.0, 0, 1) * (inside < -1.5)
        canvas.echo_db += air.astype(np.float32) * 17.0
        canvas.surface(below, 10.0, 0.8, 0.2)
        return inside

    def _paint_ribs(self, canvas: Canvas, view: View) -> None:
        for rib in self.ribs:
            inside = rib.distance(view.points)
            canvas.fill(inside, -8.0, BONE_LOSS, 1.0)
            canvas.surface(inside, 14.0, 0.9, 0.02)


def _ribs(rng: np.random.Generator, pleura_mm: float, width_mm: float) -> tuple[Blob, ...]:
    gap, first = rng.uniform(30, 42), rng.uniform(-0.5, 0.5)
    places = [gap * (first + step) for step in (-2, -1, 0, 1, 2)]
    size = min(rng.uniform(5, 8), 0.5 * pleura_mm)
    depth = pleura_mm - 0.2 * size
    return tuple(
        Blob((place, depth, 0), (size, 0.55 * size, 80.0))
        for place in places
        if size < abs(place) < width_mm
    )


def _with_finding(
    lung: Lung, rng: np.random.Generator, finding: str, depth_mm: float, width_mm: float
) -> Lung:
    if finding == "b_lines":
        streaks = tuple(Streak.draw(rng, width_mm) for _ in range(int(rng.integers(3, 8))))
        return replace(lung, streaks=streaks, a_line_db=lung.a_line_db - 6)
    if finding == "consolidation":
        size = depth_mm * rng.uniform(0.12, 0.26)
        place = (rng.uniform(-0.25, 0.25) * width_mm, lung.pleura_mm + 0.25 * size, 0.0)
        solid = Blob(
            place, (size * rng.uniform(0.9, 1.5), size, 0.8 * size), rng.uniform(-0.3, 0.3)
        )
        return replace(lung, solid=solid)
    return lung
