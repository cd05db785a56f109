"""Keeps a hot machine honest: half the rate while it is too hot, and the screen says so (F09)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stream.clock import MS

HOT_C, COOL_C = 95.0, 88.0
"""Above the first the rate is halved, until the temperature falls below the second."""
CALM_NS = 10_000 * MS
"""After the processor slowed itself down the rate stays halved for so long."""
THERMAL = Path("/sys/class/thermal")
PROCESSORS = Path("/sys/devices/system/cpu")


class Heat(NamedTuple):
    """What the machine says of itself.

    Parameters
    ----------
    hottest_c : temperature of the hottest zone, None where there is none
    slowed : how often processors have slowed themselves down since the machine started
    """

    hottest_c: float | None
    slowed: int


class Throttle:
    """A fixed rule with hysteresis: while hot, the engine rests as long as it works.

    At least every second frame is left out, so the rate is halved whatever the engine's speed.

    Attributes
    ----------
    words : what the screen says, empty while cool
    """

    def __init__(self) -> None:
        self.words = ""
        self._hot = self._rested = False
        self._slowed: int | None = None
        self._slow_until_ns = self._rest_until_ns = 0

    def update(self, heat: Heat, now_ns: int) -> None:
        """Take a reading."""
        limit_c = COOL_C if self._hot else HOT_C
        self._hot = heat.hottest_c is not None and heat.hottest_c > limit_c
        if self._slowed is not None and heat.slowed > self._slowed:
            self._slow_until_ns = now_ns + CALM_NS
        self._slowed = heat.slowed
        slow = now_ns < self._slow_until_ns
        shown = "" if heat.hottest_c is None else f"{heat.hottest_c:.0f} °C, "
        cause = f"{shown}slowed down {heat.slowed} times, " if slow else shown
        self.words = f"{cause}half the rate" if self._hot or slow else ""

    def worked(self, began_ns: int, done_ns: int) -> None:
        """Take note that the engine worked."""
        self._rest_until_ns, self._rested = 2 * done_ns - began_ns, False

    def skips(self, now_ns: int) -> bool:
        """Tell whether the frame that is there is to be left out."""
        if not self.words or (self._rested and now_ns >= self._rest_until_ns):
            return False
        self._rested = True
        return True


def read_heat(thermal: Path = THERMAL, processors: Path = PROCESSORS) -> Heat:
    """Read the sensors of this machine, as Linux shows them in files."""
    millidegrees = _numbers(thermal, "thermal_zone*/temp")
    counts = _numbers(processors, "cpu[0-9]*/thermal_throttle/*_throttle_count")
    return Heat(max(millidegrees) / 1000 if millidegrees else None, sum(counts))


def _numbers(root: Path, pattern: str) -> list[int]:
    found = []
    for path in root.glob(pattern):
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # a zone that is switched off says so by an error
    return found
