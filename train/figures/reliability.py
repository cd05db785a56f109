"""The reliability diagram: is a confidence of 0.8 right eight times out of ten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from calib.temperature import BINS
from train.figures.canvas import Caption, colour, open_page
from train.scoring.metrics import LEVEL, Figure, Figures, draw_people
from train.scoring.scored import Scored
from train.scoring.weighted import Cases, Floats, share


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Predictions by confidence in their class, in 15 equal bins.

    Parameters
    ----------
    counts : shape (B,)
    confidence, accuracy : shape (B,), means, NaN in empty bins
    low, high : shape (B,), 95 % interval of the accuracy over draws of people
    """

    counts: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats
    low: Floats
    high: Floats


def bin_confidence(scored: Scored, seed: int = 0) -> Bins:
    """Return the bins of a set of predictions.

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    ordered = scored.in_order()
    names, people = np.unique(ordered.groups, return_inverse=True)
    cases = Cases(ordered.probs, ordered.labels, people)
    confidence, right = cases.probs.max(axis=1), cases.chosen == cases.labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    ones = np.ones(len(bins))
    counts, sums, hits = (
        cases.per_person(bins, values, BINS) for values in (ones, confidence, right.astype(float))
    )
    drawn = [share(t @ hits, t @ counts) for t in draw_people(len(names), len(names), seed)]
    total = counts.sum(axis=0)
    low, high = _interval(np.concatenate(drawn))
    return Bins(
        total.astype(np.int64),
        share(sums.sum(axis=0), total),
        share(hits.sum(axis=0), total),
        low,
        high,
    )


def draw_reliability(scored: Scored, figures: Figures, path: Path, caption: Caption) -> None:
    """Draw accuracy against confidence with intervals, and how many predictions each bin has.

    Where `scored` has raw probabilities, they are drawn too, without intervals.
    """
    after = bin_confidence(scored)
    with open_page(path, (4.6, 6.0), caption) as page:
        upper, lower = page.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color="#999999", lw=0.8, label="ideal")
        if scored.raw is not None:
            raw = Scored(scored.raw, scored.labels, scored.groups, scored.sources)
            before = bin_confidence(raw)
            name = _label("before temperature", figures.uncalibrated_error)
            style: dict[str, Any] = {
                "color": colour(1),
                "marker": "s",
                "mfc": "white",
                "ms": 4.5,
                "ls": "--",
            }
            upper.plot(before.confidence, before.accuracy, lw=1, label=name, **style)
        _draw_bins(upper, after, _label("as the model answers", figures.calibration_error))
        upper.set(
            ylabel="accuracy",
            ylim=(-0.02, 1.02),
            title="Reliability of the top class, 95 % intervals over people",
        )
        _draw_counts(lower, after.counts)
        handles = upper.get_legend_handles_labels()
        lower.legend(*handles, loc="upper left", bbox_to_anchor=(-0.05, -0.4), fontsize=6.5)


def _interval(drawn: Floats) -> Floats:
    """Return the limits over draws (D, B), shape (2, B), NaN for bins that no draw has."""
    limits = np.full((2, drawn.shape[1]), np.nan)
    some = ~np.isnan(drawn).all(axis=0)
    limits[:, some] = np.nanquantile(drawn[:, some], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return limits


def _label(name: str, figure: Figure | None) -> str:
    return f"{name}: calibration error {figure}"


def _draw_bins(axes: Axes, bins: Bins, label: str) -> None:
    some = bins.counts > 0
    x, y = bins.confidence[some], bins.accuracy[some]
    axes.vlines(x, bins.low[some], bins.high[some], color=colour(0), lw=1)
    axes.plot(x, y, color=colour(0), marker="o", ms=4.5, lw=1.2, label=label)


def _draw_counts(axes: Axes, counts: NDArray[np.int64]) -> None:
    middles = (np.arange(BINS) + 0.5) / BINS
    axes.bar(middles, counts, width=0.9 / BINS, color=colour(0))
    for middle, count in zip(middles, counts, strict=True):
        if count:
            axes.annotate(
                str(count), (middle, count), ha="center", va="bottom", fontsize=5.5, rotation=0
            )
    axes.set(xlabel="confidence", ylabel="predictions", xlim=(0, 1))
    axes.margins(y=0.2)
