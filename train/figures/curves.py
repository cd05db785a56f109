"""ROC and precision-recall curves per class; where they run, and how they are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from train.figures.canvas import GREY, Caption, colour, line, open_page, short
from train.scoring.metrics import Figure, Figures
from train.scoring.scored import Scored
from train.scoring.weighted import Floats, rank


def roc_points(scores: Floats, positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return false and true positive rate from (0, 0) to (1, 1), a point per distinct score.

    Parameters
    ----------
    scores : shape (N,)
    positive : shape (N,), at least one of each
    """
    hits, false = _counts(scores, positive)
    return np.append(0.0, false / false[-1]), np.append(0.0, hits / hits[-1])


def pr_points(scores: Floats, positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return recall and precision, a point per distinct score, recall rising.

    Parameters
    ----------
    scores : shape (N,)
    positive : shape (N,), at least one True
    """
    hits, false = _counts(scores, positive)
    return hits / hits[-1], hits / (hits + false)


def draw_roc(
    scored: Scored, figures: Figures, classes: Sequence[str], path: Path, caption: Caption
) -> None:
    """Draw the ROC curve of each class against the rest."""
    with open_page(path, (4.6, 5.2 + 0.17 * len(classes)), caption) as page:
        axes = page.subplots()
        axes.plot([0, 1], [0, 1], color="#999999", lw=0.8, label="chance")
        for place, positive in _drawn(scored, figures, classes):
            x, y = roc_points(scored.probs[:, place], positive)
            name = _label(classes[place], "area", figures.per_class[classes[place]].auroc, positive)
            axes.plot(x, y, color=colour(place), ls=line(place), lw=1.5, label=name)
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC")
        _finish(axes)


def draw_pr(
    scored: Scored, figures: Figures, classes: Sequence[str], path: Path, caption: Caption
) -> None:
    """Draw the precision-recall curves; a thin line at each class's share is what chance gives."""
    with open_page(path, (4.6, 5.2 + 0.17 * len(classes)), caption) as page:
        axes = page.subplots()
        for place, positive in _drawn(scored, figures, classes):
            x, y = pr_points(scored.probs[:, place], positive)
            name = _label(classes[place], "area", figures.per_class[classes[place]].auprc, positive)
            style: dict[str, Any] = {"color": colour(place), "ls": line(place)}
            axes.step(np.append(0, x), np.append(y[0], y), where="pre", lw=1.5, label=name, **style)
            axes.axhline(positive.mean(), lw=0.6, **style)
        axes.set(xlabel="recall", ylabel="precision", title="Precision and recall")
        _finish(axes)


def _counts(scores: Floats, positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    hits, false = rank(scores, positive).count(np.ones((1, len(scores))))
    return hits[0], false[0]


def _drawn(
    scored: Scored, figures: Figures, classes: Sequence[str]
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield the classes that have a curve, with their truth."""
    for place, name in enumerate(classes):
        if figures.per_class[name].auroc:
            yield place, scored.labels == place


def _label(name: str, area: str, figure: Figure | None, positive: NDArray[np.bool_]) -> str:
    return f"{short(name)} ({positive.sum()} of {len(positive)}): {area} {figure}"


def _finish(axes: Axes) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    handles, names = axes.get_legend_handles_labels()
    if all(name == "chance" for name in names):
        text = "undefined: the truth holds one class only"
        axes.text(0.5, 0.5, text, ha="center", va="bottom", color=GREY, backgroundcolor="white")
    axes.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(-0.12, -0.12),
        fontsize=6.5,
        handlelength=3,
    )
