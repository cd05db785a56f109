"""One figure of several variants, regions or steps side by side, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.figures.canvas import Caption, colour, open_page, short
from train.scoring.metrics import Figure


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Parameters
    ----------
    name, count : what it is of, and of how many predictions
    figure : None where it is undefined
    published : what others report, or None
    """

    name: str
    count: int
    figure: Figure | None
    published: float | None = None


def draw_bars(bars: Sequence[Bar], what: str, path: Path, caption: Caption) -> None:
    """Draw a figure named `what`, in 0..1, of several things with its 95 % intervals."""
    with open_page(path, (5.6, 1.3 + 0.34 * len(bars)), caption) as page:
        axes = page.subplots()
        for row, bar in enumerate(bars):
            if bar.figure is None:
                axes.text(0.01, row, "undefined", va="center", fontsize=7)
                continue
            value, low, high = bar.figure.value, bar.figure.low, bar.figure.high
            axes.barh(row, value, height=0.6, color=colour(5))
            axes.hlines(row, low, high, color="black", lw=1.2)
            axes.vlines([low, high], row - 0.12, row + 0.12, color="black", lw=1.2)
            axes.text(1.03, row, str(bar.figure), va="center", fontsize=7)
        told = [(bar.published, row) for row, bar in enumerate(bars) if bar.published is not None]
        if told:
            style: dict[str, Any] = {"marker": "D", "color": colour(1), "s": 22, "zorder": 3}
            axes.scatter(*zip(*told, strict=True), label="published", **style)
            axes.legend(loc="lower right", bbox_to_anchor=(1.3, 1.0), fontsize=7)
        axes.set_yticks(range(len(bars)), [f"{short(bar.name)} ({bar.count})" for bar in bars])
        axes.set(xlim=(0, 1), ylim=(len(bars) - 0.4, -0.6), xlabel=what)
