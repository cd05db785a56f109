"""Learning curves: loss and scores by epoch, several runs over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from train.figures.canvas import Caption, colour, line, open_page, short
from train.scoring.weighted import Floats

Row = Mapping[str, float | str]

PARTS = ("train_", "val_")


def draw_learning(history: Sequence[Row], path: Path, caption: Caption) -> None:
    """Draw the history of one or several runs.

    Parameters
    ----------
    history : rows with ``epoch`` and what was measured under names that begin with ``train_`` or
        ``val_``; rows of several runs name theirs under ``run``. Empty values are left out.
    """
    runs = list(dict.fromkeys(str(row.get("run", "")) for row in history))
    names = sorted({key for row in history for key in row if key.startswith(PARTS)})
    kinds = {"loss": [n for n in names if n.endswith("loss")]}
    kinds["score"] = [n for n in names if n not in kinds["loss"]]
    shown = {kind: found for kind, found in kinds.items() if found}
    with open_page(path, (3.6 * max(1, len(shown)), 3.8), caption) as page:
        columns = page.subplots(1, max(1, len(shown)), squeeze=False)[0]
        for axes, (kind, found) in zip(columns, shown.items(), strict=False):
            for place, run in enumerate(runs):
                rows = [row for row in history if str(row.get("run", "")) == run]
                _draw_run(axes, rows, found, place if len(runs) > 1 else None)
            axes.set(xlabel="epoch", ylabel=kind, title=kind)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=6.5, ncols=2)


def series(rows: Sequence[Row], name: str) -> tuple[Floats, Floats]:
    """Return the epochs at which a value was measured, and the values."""
    told = [(row["epoch"], row[name]) for row in rows if row.get(name) not in (None, "")]
    pairs = np.array([(float(epoch), float(value)) for epoch, value in told]).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _draw_run(axes: Axes, rows: Sequence[Row], names: Sequence[str], run: int | None) -> None:
    """Draw one run; of several, the run has the colour and the value the line."""
    for place, name in enumerate(names):
        epochs, values = series(rows, name)
        label = f"{short(str(rows[0].get('run', '')), 16)} {name}".strip()
        style: dict[str, Any] = {"color": colour(place if run is None else run), "ls": line(place)}
        axes.plot(epochs, values, marker=".", ms=3, lw=1.2, label=label, **style)
        if name == "val_loss" and len(values):
            best = int(values.argmin())
            axes.plot(epochs[best], values[best], "o", mfc="none", ms=7, color=style["color"])
