"""Numbers of the live benchmark from its raw times; pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Z95 = 1.96


class Draw(NamedTuple):
    """One draw of the viewer; see its counters."""

    time_ns: int
    drawn: int
    draw_us: int
    shown: int
    age_us: int
    pixel_us: int
    banner: str


class Slope(NamedTuple):
    """A growth and its 95 % interval."""

    slope: float
    low: float
    high: float


def read_draws(path: Path) -> list[Draw]:
    """Read the file that `benchmarks.live_child` writes; a last line cut short is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [_read_draw(line.strip()) for line in lines if line.endswith("\n")]


def _read_draw(line: str) -> Draw:
    *figures, banner = line.split(",")
    time_ns, drawn, draw_us, shown, age_us, pixel_us = map(int, figures)
    return Draw(time_ns, drawn, draw_us, shown, age_us, pixel_us, banner)


def between(draws: Sequence[Draw], from_ns: int, to_ns: int) -> list[Draw]:
    """Return the draws of a span of time."""
    return [draw for draw in draws if from_ns <= draw.time_ns < to_ns]


def ages_ms(draws: Sequence[Draw]) -> list[float]:
    """Return the age of the result on the screen at each draw that showed one."""
    return [draw.age_us / 1e3 for draw in draws if draw.age_us]


def pixels_ms(draws: Sequence[Draw]) -> list[float]:
    """Return, for each result shown, the time from its answer to its first sight."""
    pairs = pairwise(draws)
    return [draw.pixel_us / 1e3 for before, draw in pairs if draw.shown != before.shown]


def summary(values: ArrayLike, percents: Sequence[int] = (50, 95, 99)) -> dict[str, float]:
    """Return percentiles such as ``p50``, the mean and the number of values; no values, no keys."""
    found = np.asarray(values, np.float64)
    if not found.size:
        return {"count": 0}
    points = np.percentile(found, percents)
    named = {f"p{p}": round(float(v), 3) for p, v in zip(percents, points, strict=True)}
    return named | {"mean": round(float(found.mean()), 3), "count": int(found.size)}


def slope_per_minute(times_s: ArrayLike, values: ArrayLike) -> Slope:
    """Fit a line through the means of whole seconds.

    Values of neighbouring frames depend on each other, means of seconds hardly do, so the usual
    interval of a least squares fit holds for these.

    Raises
    ------
    ValueError
        If there are values of less than three seconds.
    """
    seconds = np.floor(np.asarray(times_s, np.float64)).astype(np.int64)
    which, place = np.unique(seconds, return_inverse=True)
    if which.size < 3:
        raise ValueError(f"{which.size} seconds; expected at least 3")
    means = np.bincount(place, np.asarray(values, np.float64)) / np.bincount(place)
    minutes = which / 60 - (which / 60).mean()
    spread = float((minutes**2).sum())
    slope = float((minutes * means).sum()) / spread
    rest = means - means.mean() - slope * minutes
    error = float(np.sqrt((rest**2).sum() / (which.size - 2) / spread))
    return Slope(slope, slope - Z95 * error, slope + Z95 * error)


def first_after(draws: Sequence[Draw], since_ns: int, banner: str) -> int | None:
    """Return the ns from a moment to the first draw with a banner, or with none but a result."""
    for draw in draws:
        if draw.time_ns >= since_ns and draw.banner == banner and (banner or draw.age_us):
            return draw.time_ns - since_ns
    return None


def recoveries(draws: Sequence[Draw], killed_ns: Sequence[int]) -> list[dict[str, float | None]]:
    """Return, for each kill of the worker, the ms to the banner and to a result after it."""
    found = []
    for moment_ns in killed_ns:
        down_ns = first_after(draws, moment_ns, "AI DOWN")
        fresh_ns = None
        if down_ns is not None and (wait_ns := first_after(draws, moment_ns + down_ns, "")):
            fresh_ns = down_ns + wait_ns
        named = {"banner_ms": down_ns, "fresh_ms": fresh_ns}
        found.append({name: None if ns is None else ns / 1e6 for name, ns in named.items()})
    return found
