"""The time axis of the timeline: where frames stand, which ones share a column, where ticks go."""

from __future__ import annotations

import math
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

_COLUMNS = 900


class Axis:
    """Maps times to x, and groups frames when there are more than the drawing has columns.

    Parameters
    ----------
    times : shape (T,), in seconds or frame numbers
    left, right : ends of the axis in drawing units

    Attributes
    ----------
    x : shape (T,), place of each frame in drawing units
    groups : ranges of frames that share a column; one frame each in a short clip
    """

    def __init__(self, times: NDArray[np.float64], left: float, right: float) -> None:
        low, high = (float(times.min()), float(times.max())) if times.size else (0.0, 1.0)
        if low == high:
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self.left, self.right = low, high, left, right
        self.x = left + (times - low) / (high - low) * (right - left)
        edges = np.linspace(0, times.size, min(times.size, _COLUMNS) + 1).astype(int).tolist()
        self.groups = tuple(range(a, b) for a, b in pairwise(edges))

    def place(self, time: float) -> float:
        """Return the x of a time."""
        return self.left + (time - self.low) / (self.high - self.low) * (self.right - self.left)

    def extremes(self, values: NDArray[np.float32]) -> list[int]:
        """Return, in order, the frames with the least and greatest value of each group.

        A group without a finite value gives its first frame.
        """
        found: list[int] = []
        for group in self.groups:
            known = [frame for frame in group if math.isfinite(values[frame])] or [group[0]]
            ends = {min(known, key=values.__getitem__), max(known, key=values.__getitem__)}
            found.extend(sorted(ends))
        return found

    def runs(self, ranks: NDArray[np.int64]) -> list[tuple[int, float, float]]:
        """Return (rank, left, right) for runs of equal rank; the highest in a group counts.

        Parameters
        ----------
        ranks : shape (T,), 0 for frames that need no mark
        """
        tops = [int(ranks[group.start : group.stop].max()) for group in self.groups]
        between = [(self.x[g.start - 1] + self.x[g.start]) / 2 for g in self.groups[1:]]
        borders = [self.left, *map(float, between), self.right]
        runs, start = [], 0
        for rank, members in groupby(tops):
            stop = start + len(list(members))
            runs.append((rank, borders[start], borders[stop]))
            start = stop
        return runs

    def ticks(self, *, whole: bool) -> list[float]:
        """Return at most nine round values on the axis, 1, 2 or 5 times a power of ten apart."""
        least = (self.high - self.low) / 8
        power = 10.0 ** math.floor(math.log10(least))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
        step = max(step, 1.0) if whole else step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(count * step, 9) for count in range(first, last + 1)]


def spread(wanted: list[float], gap: float, right: float) -> list[float]:
    """Move ascending places apart to at least `gap`, none beyond `right`."""
    places: list[float] = []
    for index, place in enumerate(wanted):
        room = right - gap * (len(wanted) - 1 - index)
        least = places[-1] + gap if places else -math.inf
        places.append(max(least, min(place, room)))
    return places
