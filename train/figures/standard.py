"""The figures that every training and every evaluation leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.figures.canvas import Caption
from train.figures.confusion import draw_confusion
from train.figures.curves import draw_pr, draw_roc
from train.figures.embedding import draw_tsne
from train.figures.learning import Row, draw_learning
from train.figures.reliability import draw_reliability
from train.scoring.metrics import measure
from train.scoring.scored import Scored


def draw_all(
    scored: Scored,
    features: NDArray[np.float32] | None,
    classes: Sequence[str],
    history: Sequence[Row],
    folder: Path,
    what: Caption | str,
) -> list[Path]:
    """Write confusion.png, roc.png, pr.png, reliability.png, tsne.png and learning.png.

    Parameters
    ----------
    scored : held-out predictions of N frames; reliability shows `raw` too where it is there
    features : shape (N, D), or None to leave the t-SNE out
    history : as in `draw_learning`; learning curves are left out when it is empty
    what : the caption, or only its sentence

    Returns
    -------
    the files written
    """
    caption = Caption(what) if isinstance(what, str) else what
    figures = measure(scored, classes)
    paths = [folder / f"{name}.png" for name in ("confusion", "roc", "pr", "reliability")]
    draw_confusion(np.array(figures.confusion), classes, paths[0], caption)
    draw_roc(scored, figures, classes, paths[1], caption)
    draw_pr(scored, figures, classes, paths[2], caption)
    draw_reliability(scored, figures, paths[3], caption)
    if features is not None:
        paths.append(folder / "tsne.png")
        draw_tsne(features, scored.labels, classes, paths[-1], caption)
    if history:
        paths.append(folder / "learning.png")
        draw_learning(history, paths[-1], caption)
    return paths
