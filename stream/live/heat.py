"""Keeps a hot machine honest: half the rate while it is too hot, and the screen says so (F09)."""

from __future__ import annotations

from pathlib import Path

HOT_C, COOL_C = 95.0, 88.0
"""Above the first the rate is halved, until the temperature falls below the second."""
THERMAL = Path("/sys/class/thermal")


class Throttle:
    """A fixed rule with hysteresis: while hot, every second frame is left out.

    Attributes
    ----------
    words : what the screen says, empty while cool
    """

    def __init__(self) -> None:
        self.words = ""
        self._odd = False

    def update(self, temperature_c: float | None) -> None:
        """Take a reading; None where the machine gives none."""
        limit = COOL_C if self.words else HOT_C
        hot = temperature_c is not None and temperature_c > limit
        self.words = f"{temperature_c:.0f} °C, every second frame is analysed" if hot else ""

    def skips(self) -> bool:
        """Tell whether the next frame is to be left out."""
        self._odd = not self._odd if self.words else False
        return self._odd


def read_temperature_c(root: Path = THERMAL) -> float | None:
    """Return the temperature of the hottest processor zone, or None where there is none."""
    found = []
    for zone in root.glob("thermal_zone*/temp"):
        try:
            found.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            continue  # a zone that is switched off says so by an error
    return max(found, default=None)
