"""Rules that choose the step of an int8 tensor from a histogram of its values.

Symmetric int8 with 127 steps a side: whatever lies beyond the limit is clipped, and the step is
the limit over 127. A low limit clips outliers, a high one makes coarse steps; no rule is best for
every network, so `calib.calibrate` tries all and measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
BINS = 4096
CANDIDATES = 100

Floats = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Histogram:
    """Magnitudes of a tensor's values, grown frame by frame over one pass.

    The upper end is a power of two that doubles when a larger value comes, which merges bins in
    pairs and loses nothing; so at least half of the bins are in use and no range is needed
    beforehand.

    Parameters
    ----------
    counts : shape (B,), values in each bin, B even; bin i holds [i, i + 1) / B of the upper end
    end : upper end of the last bin; 0 before the first value that is not zero
    largest : largest magnitude
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    end: float = 0.0
    largest: float = 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count the magnitudes of an array of any shape."""
        sizes = np.abs(values).ravel()
        self.largest = max(self.largest, float(sizes.max(initial=0.0)))
        if self.largest > 0:
            self._reach(2.0 ** (math.floor(math.log2(self.largest)) + 1))
        width = max(self.end, np.finfo(np.float64).tiny) / len(self.counts)
        self.counts += np.bincount((sizes / width).astype(np.int64), minlength=len(self.counts))

    @property
    def middles(self) -> Floats:
        """Middle of each bin, shape (B,)."""
        return np.asarray((np.arange(len(self.counts)) + 0.5) * self.end / len(self.counts))

    def _reach(self, end: float) -> None:
        while 0 < self.end < end:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([pairs, np.zeros_like(pairs)])
            self.end *= 2
        self.end = max(self.end, end)


def limit_by_max(histogram: Histogram) -> float:
    """Return the largest magnitude: nothing is clipped."""
    return histogram.largest


def limit_by_percentile(histogram: Histogram, percent: float) -> float:
    """Return the upper end of the bin in which this share of all values, zeros too, is reached."""
    reached = np.cumsum(histogram.counts)
    place = int(np.searchsorted(reached, percent / 100 * reached[-1]))
    return min((place + 1) * histogram.end / len(histogram.counts), histogram.largest)


def limit_by_error(histogram: Histogram) -> float:
    """Return the limit that makes the mean squared error of rounding and clipping least.

    Limits tried are 1 to 100 hundredths of the largest magnitude.
    """
    middles, counts = histogram.middles, histogram.counts
    if histogram.largest == 0:
        return 0.0

    def error(limit: float) -> float:
        step = limit / LEVELS
        rounded = np.minimum(np.rint(middles / step), LEVELS) * step
        return float((counts * np.square(rounded - middles)).sum())

    return min(_limits(histogram.largest), key=error)


def limit_by_entropy(histogram: Histogram) -> float:
    """Return the limit whose int8 distribution tells least apart from the true one.

    Bin 0 is left out: the zeros after a ReLU outnumber all else and would pull the limit down
    until nothing is left of the rest.

    References
    ----------
    Kullback and Leibler, "On Information and Sufficiency", Ann. Math. Statist. 22, 1951.
    """
    if histogram.largest == 0:
        return 0.0
    counts = histogram.counts.astype(np.float64)
    counts[0] = 0.0
    width = histogram.end / len(counts)

    def divergence(limit: float) -> float:
        kept = max(math.ceil(limit / width), 2)
        return _divergence(counts[:kept], counts[kept:].sum())

    limits = [limit for limit in _limits(histogram.largest) if limit >= LEVELS * width]
    return min(limits, key=divergence, default=histogram.largest)


def _limits(largest: float) -> list[float]:
    return [largest * number / CANDIDATES for number in range(1, CANDIDATES + 1)]


def _divergence(kept: Floats, clipped: float) -> float:
    """Return the divergence of a clipped histogram from what 127 levels make of it, in nats.

    Each level spreads its count evenly over its bins that hold anything.
    """
    truth = kept.copy()
    truth[-1] += clipped
    level = np.minimum(np.arange(len(kept)) * LEVELS // len(kept), LEVELS - 1)
    filled = truth > 0
    sums = np.bincount(level, kept, LEVELS)
    shares = np.bincount(level, filled, LEVELS)
    model = np.where(filled, (sums / np.maximum(shares, 1))[level], 0.0)
    if not model.any():
        return math.inf
    truth, model = truth / truth.sum(), np.maximum(model / model.sum(), np.finfo(float).tiny)
    return float((truth[filled] * np.log(truth[filled] / model[filled])).sum())


CALIBRATORS: dict[str, Callable[[Histogram], float]] = {
    "max": limit_by_max,
    "percentile-99.9": partial(limit_by_percentile, percent=99.9),
    "percentile-99.99": partial(limit_by_percentile, percent=99.99),
    "percentile-99.999": partial(limit_by_percentile, percent=99.999),
    "mse": limit_by_error,
    "entropy": limit_by_entropy,
}
