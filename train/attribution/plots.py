"""One frame in print quality: how its gradient saturates, and its integrated gradients."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from train.attribution.drawing import (
    Origin,
    Row,
    draw_scale,
    find_scale,
    open_plain,
    paint,
    show_picture,
)
from train.attribution.maps import Attribution, Saturation
from train.figures.canvas import drawable

SIZE_WH = (7.2, 2.25)
"""Inches; as wide as the text of an A4 page."""
SIDE, LEFTS = 1.28, (0.08, 1.7, 3.12, 4.47, 5.82)
"""Of the panels, inches."""
NEEDED = ("gradient-saturation", "integrated-gradients")
LETTER = 5.5
TITLE = 6.5


def draw_gradient_plots(row: Row, origin: Origin, path: Path, dpi: int = 600) -> None:
    """Draw a frame, its saturation curve and map, and its integrated gradients alone and over it.

    Parameters
    ----------
    row : with the methods `NEEDED`
    path : PNG file

    Raises
    ------
    ValueError
        If a method is missing.
    StorageError
        If the file cannot be written.
    """
    missing = [name for name in NEEDED if name not in row.attributions]
    if missing:
        raise ValueError(f"no {' or '.join(missing)}; expected {' and '.join(NEEDED)}")
    saturated, integrated = (row.attributions[name] for name in NEEDED)
    black = np.zeros_like(row.frame)
    with open_plain(path, SIZE_WH, dpi) as figure:
        show_picture(_panel(figure, 0, "Frame"), row.frame)
        if saturated.saturation is not None:
            _draw_curve(_panel(figure, 1, "Gradient saturation"), saturated.saturation)
        _draw_map(_panel(figure, 2, "Gradient at the frame"), saturated, black)
        _draw_map(_panel(figure, 3, "Integrated gradients"), integrated, black)
        _draw_map(_panel(figure, 4, "The same over the frame"), integrated, row.frame)
        _write_caption(figure, row, origin, integrated)


def _panel(figure: Figure, place: int, title: str) -> Axes:
    """Return axes number `place` of five."""
    width, height = SIZE_WH
    axes = figure.add_axes((LEFTS[place] / width, 0.76 / height, SIDE / width, SIDE / height))
    axes.set_title(title, fontsize=TITLE, pad=3)
    return axes


def _draw_curve(axes: Axes, curve: Saturation) -> None:
    highest = curve.gradients.max() or 1.0
    axes.plot(curve.shares, curve.scores, color="black", linewidth=1.0, label="probability")
    axes.plot(
        curve.shares,
        curve.gradients / highest,
        color="#d06000",
        linewidth=1.0,
        linestyle="--",
        label="mean |gradient|, of its largest",
    )
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.05))
    axes.set_xticks((0, 0.5, 1), ("black", "0.5", "frame"))
    axes.set_yticks((0, 0.5, 1))
    axes.tick_params(labelsize=LETTER, length=2, pad=1.5, width=0.5)
    axes.legend(
        fontsize=4.8, loc="upper center", bbox_to_anchor=(0.45, -0.12), frameon=False, borderpad=0
    )
    for edge in axes.spines.values():
        edge.set_linewidth(0.5)


def _draw_map(axes: Axes, found: Attribution, behind: NDArray[np.uint8]) -> None:
    scale = find_scale([found])
    show_picture(axes, paint(behind, found.map, scale))
    box = axes.get_position()
    bar = axes.figure.add_axes((box.x0, 0.64 / SIZE_WH[1], box.width, 0.07 / SIZE_WH[1]))
    for edge in bar.spines.values():
        edge.set_linewidth(0.4)
    draw_scale(bar, scale, found.signed, grey=128 if behind.any() else 0)


def _write_caption(figure: Figure, row: Row, origin: Origin, integrated: Attribution) -> None:
    error = integrated.completeness_error
    said = "unknown" if error is None else f"{error:.1%}"
    text = (
        f"{origin.model}, p({row.target}) = {row.score:.3f}. {row.caption}. Data: {origin.data}. "
        f"{origin.split}. Integrated gradients from black in {integrated.steps} steps, "
        f"completeness error {said}. Scales: 99 % quantile of each map's magnitudes. "
        "Not a medical device."
    )
    lines = "\n".join(textwrap.wrap(drawable(text), 170)[:3])
    figure.text(0.011, 0.17, lines, fontsize=LETTER, va="top", linespacing=1.3)
