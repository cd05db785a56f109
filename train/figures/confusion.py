"""The confusion matrix: counts, and their share of the row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.figures.canvas import Caption, open_page, short
from train.scoring.weighted import share


def draw_confusion(
    confusion: NDArray[np.int64], classes: Sequence[str], path: Path, caption: Caption
) -> None:
    """Draw counts of truth (rows) against prediction (columns), shaded by share of the row.

    Parameters
    ----------
    confusion : shape (C, C)
    """
    count = len(classes)
    shares = share(confusion.astype(np.float64), confusion.sum(axis=1, keepdims=True))
    with open_page(path, (max(3.6, 2.2 + 0.62 * count), 1.9 + 0.5 * count), caption) as page:
        axes = page.subplots()
        axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(count, count):
            part = shares[row, column]
            said = "-" if np.isnan(part) else f"{part:.0%}"
            ink = "white" if part > 0.6 else "black"
            text = f"{confusion[row, column]}\n{said}"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=7)
        rows = [f"{short(name)} ({confusion[i].sum()})" for i, name in enumerate(classes)]
        tilt: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(count), [short(name) for name in classes], **tilt)
        axes.set_yticks(range(count), rows)
        axes.set(xlabel="predicted", ylabel="truth (count)", title="count, share of the truth")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
