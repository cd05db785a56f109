"""How tissue and probe move during a clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the tissue is at one moment, in mm and radians.

    Parameters
    ----------
    breath_xz_mm : shift of the deep tissue along the probe and away from it
    probe_mm : shift of everything along the probe
    tilt_rad : turn of everything about the middle of the probe
    plane_mm : distance of the imaging plane from the organ's middle
    """

    breath_xz_mm: tuple[float, float]
    probe_mm: float
    tilt_rad: float
    plane_mm: float


@dataclass(frozen=True, slots=True)
class Motion:
    """Breathing, the operator's hand and the sweep across the organ.

    Parameters
    ----------
    breath_hz, breath_phase : rate of breathing and its phase in cycles
    breath_xz_mm : amplitude along the probe and away from it
    hand_hz, hand_phase : slow wander of the probe
    hand_mm, hand_rad : its amplitudes
    sweep_hz, sweep_phase, sweep_mm : movement of the imaging plane
    """

    breath_hz: float
    breath_phase: float
    breath_xz_mm: tuple[float, float]
    hand_hz: float
    hand_phase: float
    hand_mm: float
    hand_rad: float
    sweep_hz: float
    sweep_phase: float
    sweep_mm: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, seconds: float, sweep_mm: float, breath_mm: float
    ) -> Motion:
        """Draw a motion whose sweep crosses the organ at least twice in a clip."""
        return cls(
            breath_hz=rng.uniform(0.2, 0.33),
            breath_phase=rng.uniform(0, 1),
            breath_xz_mm=(breath_mm * rng.uniform(-1, 1), breath_mm * rng.uniform(0.05, 0.35)),
            hand_hz=rng.uniform(0.15, 0.5),
            hand_phase=rng.uniform(0, 1),
            hand_mm=rng.uniform(0.3, 1.5),
            hand_rad=rng.uniform(0.003, 0.02),
            sweep_hz=rng.uniform(1.0, 1.6) / seconds,
            sweep_phase=rng.uniform(0, 1),
            sweep_mm=sweep_mm,
        )

    def at(self, time_s: float) -> Pose:
        """Return the pose at a time from the start of the clip."""
        breath = (0.5 - 0.5 * math.cos(_turns(self.breath_hz * time_s + self.breath_phase))) ** 1.5
        hand = _turns(self.hand_hz * time_s + self.hand_phase)
        return Pose(
            breath_xz_mm=(self.breath_xz_mm[0] * breath, self.breath_xz_mm[1] * breath),
            probe_mm=self.hand_mm * (math.sin(hand) + 0.3 * math.sin(2.7 * hand)),
            tilt_rad=self.hand_rad * math.sin(0.8 * hand + 1.0),
            plane_mm=self.sweep_mm * math.sin(_turns(self.sweep_hz * time_s + self.sweep_phase)),
        )


def _turns(cycles: float) -> float:
    return 2 * math.pi * cycles
