"""Activation maps over their pictures, all on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.figures.canvas import Caption, open_page, short

COLUMNS = 5
LINE_CHARACTERS = 22


def draw_maps(
    pictures: NDArray[np.uint8],
    maps: NDArray[np.float32],
    titles: Sequence[str],
    limit: float,
    path: Path,
    caption: Caption,
) -> None:
    """Draw each picture and, below it, the picture under its map.

    Parameters
    ----------
    pictures : shape (N, h, w, 3), uint8 RGB
    maps : shape (N, h', w')
    titles : N, one above each picture, of one or two lines
    limit : map value drawn at full strength; zero and less is not drawn
    """
    count, height, width = pictures.shape[:3]
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    size = max(3.2, 1.35 * columns + 0.6), 0.7 + rows * (2.6 * height / width + 0.35)
    with open_page(path, size, caption) as page:
        page.set_layout_engine("compressed", w_pad=0.03, h_pad=0.02, hspace=0, wspace=0)
        grid = page.subplots(2 * rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, (picture, cam) in enumerate(zip(pictures, maps, strict=True)):
            upper = grid[2 * (place // columns), place % columns]
            lower = grid[2 * (place // columns) + 1, place % columns]
            upper.imshow(picture)
            upper.set_title(shorten_title(titles[place]), fontsize=6.5, pad=2)
            lower.imshow(picture)
            heat = np.clip(cam / limit, 0, 1)
            drawn = lower.imshow(
                heat * limit,
                cmap="inferno",
                vmin=0,
                vmax=limit,
                alpha=0.65 * heat,
                extent=_box(width, height),
            )
        bar = page.colorbar(drawn, ax=grid.ravel().tolist(), shrink=0.6, aspect=30)
        bar.solids.set_alpha(1)
        bar.set_label("map value", fontsize=6.5)
        bar.ax.tick_params(labelsize=6)


def shorten_title(title: str) -> str:
    """Return a title whose lines fit above a picture."""
    return "\n".join(short(line, LINE_CHARACTERS) for line in title.split("\n"))


def _box(width: int, height: int) -> tuple[float, float, float, float]:
    """Return left, right, bottom, top of a picture in its pixels."""
    return -0.5, width - 0.5, height - 0.5, -0.5
