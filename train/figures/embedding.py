"""The t-SNE of a model's features: which frames it finds alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.figures.canvas import Caption, colour, marker, open_page, short

MOST_FRAMES = 2000
PERPLEXITY = 30.0
FIRST_AXES = 50


def spread(count: int, most: int = MOST_FRAMES) -> NDArray[np.int64]:
    """Return at most `most` evenly spaced places out of `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def embed(features: NDArray[np.float32], seed: int = 0) -> NDArray[np.float64]:
    """Return places in the plane at which like features lie close, shape (N, 2).

    Features are first reduced to 50 principal axes; the perplexity is 30, or less for few frames.
    Fewer than five frames, or features that do not vary, give their first two principal axes.

    Parameters
    ----------
    features : shape (N, D)

    References
    ----------
    van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    size = min(FIRST_AXES, *centred.shape)
    if not centred.any():
        return np.zeros((len(centred), 2))
    with threadpool_limits(1):  # sums in threads would not repeat
        axes = PCA(size, svd_solver="auto", random_state=seed).fit_transform(centred)
        if len(axes) < 5 or size < 2:
            return np.pad(axes[:, :2], ((0, 0), (0, max(0, 2 - size))))
        perplexity = min(PERPLEXITY, (len(axes) - 1) / 3)
        places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(axes)
    return np.asarray(places, np.float64)


def draw_tsne(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    path: Path,
    caption: Caption,
) -> None:
    """Draw the t-SNE of features (N, D), at most 2000 evenly spaced frames, by true class."""
    kept = spread(len(labels))
    places, labels = embed(features[kept]), labels[kept]
    with open_page(path, (5.4, 4.4), caption) as page:
        axes = page.subplots()
        for place, name in enumerate(classes):
            here = labels == place
            style: dict[str, Any] = {
                "color": colour(place),
                "marker": marker(place),
                "linewidths": 0,
            }
            label = f"{short(name)} ({here.sum()})"
            axes.scatter(*places[here].T, s=9, alpha=0.7, label=label, **style)
        axes.set(xticks=[], yticks=[], title=f"t-SNE of features, {len(kept)} frames")
        axes.spines[:].set_visible(True)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=6.5, markerscale=1.5)
