"""Chooses, from a spec's seed, the organ, wall, probe and motion of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np

from stream.sources.phantom.anatomy_kidney import Kidney
from stream.sources.phantom.anatomy_lung import Lung
from stream.sources.phantom.anatomy_ovary import Ovary
from stream.sources.phantom.anatomy_uterus import Uterus
from stream.sources.phantom.canvas import Canvas, View
from stream.sources.phantom.field import F32
from stream.sources.phantom.motion import Motion
from stream.sources.phantom.probe import ABDOMINAL, BEAMS, ENDOCAVITY, LUNG, Probe
from stream.sources.phantom.spec import PhantomSpec
from stream.sources.phantom.wall import Wall

_REACH = {"kidney": 0.165, "ovary": 0.22, "uterus": 0.22, "lung": 0.22}
_BREATH = {"kidney": 0.06, "ovary": 0.02, "uterus": 0.015, "lung": 0.06}


class Anatomy(Protocol):
    """An organ that can paint itself."""

    def paint(self, canvas: Canvas, view: View) -> F32 | None:
        """Paint the organ; return the signed distance to the finding, None without one."""
        ...


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part in a clip.

    Parameters
    ----------
    organ, wall, probe, motion : see there
    mobile_mm : depths at which breathing begins to move the tissue and at which it moves it fully;
        close together where layers slide on each other
    """

    organ: Anatomy
    wall: Wall
    probe: Probe
    motion: Motion
    mobile_mm: tuple[float, float]


def streams(spec: PhantomSpec, *names: str) -> list[np.random.Generator]:
    """Return independent random streams, which depend on organ and seed but not on the finding."""
    return [np.random.default_rng([spec.seed, crc32(f"{spec.organ}/{n}".encode())]) for n in names]


def draw_cast(spec: PhantomSpec) -> Cast:
    """Draw the cast of a clip; two specs that differ in the finding alone share everything else."""
    organ_rng, wall_rng, probe_rng, motion_rng = streams(spec, "organ", "wall", "probe", "motion")
    linear = spec.geometry == "linear"
    pelvic = spec.organ in ("ovary", "uterus")
    abdominal = not pelvic or linear or probe_rng.random() < 0.4
    preset = LUNG if spec.organ == "lung" else ABDOMINAL if abdominal else ENDOCAVITY
    probe = Probe.draw(probe_rng, preset, linear)
    depth = probe.depth_mm
    organ = _draw_organ(spec, organ_rng, probe, abdominal)
    if isinstance(organ, Lung):
        total = (0.4 * organ.pleura_mm, 0.6 * organ.pleura_mm)
    else:
        total = (0.09 * depth, 0.2 * depth) if abdominal else (0.03 * depth, 0.07 * depth)
    motion = Motion.draw(
        motion_rng,
        spec.seconds,
        _REACH[spec.organ] * depth * motion_rng.uniform(0.85, 1.15) if spec.sweep else 0.0,
        _BREATH[spec.organ] * depth,
    )
    wall = Wall.draw(wall_rng, total)
    mobile = (wall.total_mm, wall.total_mm + 0.08 * depth)
    if isinstance(organ, Lung):
        mobile = (organ.pleura_mm - 1.0, organ.pleura_mm)
    return Cast(organ, wall, probe, motion, mobile)


def _draw_organ(
    spec: PhantomSpec, rng: np.random.Generator, probe: Probe, abdominal: bool
) -> Kidney | Ovary | Uterus | Lung:
    depth = probe.depth_mm
    if spec.organ == "kidney":
        return Kidney.draw(rng, spec.finding, depth)
    if spec.organ == "ovary":
        return Ovary.draw(rng, spec.finding, depth, abdominal)
    if spec.organ == "uterus":
        return Uterus.draw(rng, spec.finding, depth, abdominal)
    return Lung.draw(rng, spec.finding, depth, probe.beam_mm(0.25 * depth) * BEAMS)
