"""What the pictures of attributions share: colours, letters, scales and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from train.attribution.maps import Attribution, Checks
from train.figures.canvas import Caption, open_page

FOR = np.array([255, 120, 0])
AGAINST = np.array([0, 150, 255])
LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""
ALARM = "#c00000"
QUANTILE = 0.99
"""Of the magnitudes of all maps of a method in one picture; single pixels do not set the scale."""


@dataclass(frozen=True)
class Row:
    """One frame with its maps.

    Parameters
    ----------
    frame : shape (H, W, 3), uint8 RGB, model input
    target : class whose logit is explained
    score : its probability
    caption : which frame this is and what is known about it
    attributions : maps by method
    checks : their checks by method; not all pictures show them
    """

    frame: NDArray[np.uint8]
    target: str
    score: float
    caption: str
    attributions: dict[str, Attribution]
    checks: dict[str, Checks] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """Where the frames of a picture come from: model, data and which part was held out how."""

    model: str
    data: str
    split: str


def paint(frame: NDArray[np.uint8], values: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """Lay a map over a frame in grey: orange for the class, blue against it.

    Parameters
    ----------
    frame : shape (H, W, 3), uint8 RGB
    values : shape (H, W)
    scale : magnitude that covers the frame whole; larger ones look the same

    Returns
    -------
    shape (H, W, 3), uint8 RGB
    """
    grey = np.repeat((frame @ LUMA)[..., None], 3, axis=2)
    cover = np.clip(np.abs(values) / scale, 0, 1)[..., None]
    colour = np.where(values[..., None] >= 0, FOR, AGAINST)
    return (grey * (1 - cover) + colour * cover).round().astype(np.uint8)


def find_scale(attributions: Iterable[Attribution]) -> float:
    """Return the common scale of maps of one method, 1 where all of them are zero."""
    magnitudes = np.concatenate([np.abs(found.map).ravel() for found in attributions])
    return float(np.quantile(magnitudes, QUANTILE)) or float(magnitudes.max()) or 1.0


def draw_scale(axes: Axes, scale: float, signed: bool, grey: int = 128) -> None:
    """Draw the colours of a scale, over one grey, with its values."""
    low = -scale if signed else 0.0
    values = np.linspace(low, scale, 128, dtype=np.float32)[None]
    behind = np.full((1, 128, 3), grey, np.uint8)
    axes.imshow(paint(behind, values, scale), aspect="auto", extent=(low, scale, 0, 1))
    axes.set_yticks([])
    ticks = [low, 0.0, scale] if signed else [0.0, scale]
    axes.set_xticks(ticks, [f"{value:.2g}" for value in ticks], fontsize=5.5)
    axes.tick_params(length=2, pad=1, width=0.4)
    labels = axes.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")


def show_picture(axes: Axes, picture: NDArray[np.uint8]) -> None:
    """Draw a picture without axes, each of its pixels as it is."""
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()


def find_font(name: str = "DejaVuSans") -> str:
    """Return the file of a font that comes with matplotlib."""
    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"))


@contextmanager
def open_plain(path: Path, size_wh: tuple[float, float], dpi: int) -> Iterator[Figure]:
    """Yield a page of a size in inches on which everything has a fixed place; write it as PNG.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with open_page(path, size_wh, Caption("", dpi=dpi)) as page:
        page.set_layout_engine("none")
        yield page
