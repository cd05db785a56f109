"""Predictions with their truth, by frame, by clip and by person."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from train.scoring.weighted import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Predictions with their truth.

    Parameters
    ----------
    probs : shape (N, C), calibrated
    labels : shape (N,), class indices
    groups : N names of people
    sources : N names of clips
    raw : shape (N, C), the probabilities without the temperature, or None
    """

    probs: Floats
    labels: NDArray[np.int64]
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    raw: Floats | None = None

    def by_clip(self) -> Scored:
        """Return one prediction per clip and label: the mean of its frames' probabilities."""
        ordered = self.in_order()
        keys = list(zip(ordered.sources, ordered.labels.tolist(), ordered.groups, strict=True))
        kinds = sorted(set(keys))
        place_of = {kind: place for place, kind in enumerate(kinds)}
        rows = np.array([place_of[key] for key in keys])
        sources, labels, groups = zip(*kinds, strict=True)
        probs, raw = (
            None if values is None else _mean_rows(values, rows)
            for values in (ordered.probs, ordered.raw)
        )
        assert probs is not None
        return Scored(probs, np.array(labels, np.int64), groups, sources, raw)

    def by_person(self) -> Scored:
        """Return one prediction per person and label: the mean of their frames' probabilities."""
        return replace(self, sources=self.groups).by_clip()

    def where(self, chosen: NDArray[np.bool_]) -> Scored:
        """Return the predictions that `chosen` (N,) marks."""
        return self.take(np.flatnonzero(chosen))

    def take(self, rows: NDArray[np.int64]) -> Scored:
        """Return the predictions at `rows`, in that order."""
        return Scored(
            self.probs[rows],
            self.labels[rows],
            tuple(self.groups[row] for row in rows),
            tuple(self.sources[row] for row in rows),
            None if self.raw is None else self.raw[rows],
        )

    def in_order(self) -> Scored:
        """Return the same predictions in the one order that sums are taken in.

        Sums of floats depend on their order; after this, no figure depends on the order of frames.
        """
        keys = [*self.probs.T, *(() if self.raw is None else self.raw.T), self.labels]
        names = [np.unique(n, return_inverse=True)[1] for n in (self.sources, self.groups)]
        return self.take(np.lexsort([*keys, *names]))


def _mean_rows(values: Floats, rows: NDArray[np.int64]) -> Floats:
    """Return the means of `values` (N, C) over equal `rows` (N,), shape (rows.max() + 1, C)."""
    sums = np.zeros((int(rows.max()) + 1, values.shape[1]))
    np.add.at(sums, rows, values)
    return sums / np.bincount(rows)[:, None]
