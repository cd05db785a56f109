"""Pairs of frames that are the same file or nearly the same picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.sources.discover import PHANTOM
from train.data.loader import read_samples
from train.data.samples import Sample, digest_of

SIDE_PX = 32
BLUR_PX = SIDE_PX / 12
NEAR = 0.90
"""Least correlation of near copies: docs/data-doctor.md says how it was chosen."""
FLAT = 0.5
"""Grey levels; a thumbnail with less detail has nothing to be compared by."""
KEPT = 50
"""Near copies kept for each frame, the most similar ones."""
BLOCK = 512


class Copy(NamedTuple):
    """Two frames that show the same, by their places; `similarity` is 1 for equal bytes."""

    a: int
    b: int
    similarity: float
    kind: Literal["byte", "near"]


def find_copies(samples: Sequence[Sample]) -> list[Copy]:
    """Decode all samples and return the pairs of copies among them, in order.

    Raises
    ------
    SourceError
        If a sample cannot be decoded.
    """
    vectors = np.zeros((len(samples), SIDE_PX**2), np.float32)
    for place, pixels in read_samples(samples):
        vectors[place] = detail_of(pixels)
    return pair_copies(vectors, contents(samples))


def detail_of(pixels: Pixels) -> NDArray[np.float32]:
    """Return what a picture is compared by, shape (1024,): unit length, or zero for a flat one.

    A grey thumbnail without its coarse shades: what remains is the arrangement of echoes, while
    the sector's shape, depth shading and gain, which all scans of a probe share, count little.
    """
    grey = cv2.cvtColor(pixels.resized((SIDE_PX, SIDE_PX)), cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), BLUR_PX)
    fine -= fine.mean()
    if fine.std() < FLAT:
        return np.zeros(SIDE_PX**2, np.float32)
    return (fine / np.linalg.norm(fine)).ravel().astype(np.float32)


def contents(samples: Sequence[Sample]) -> list[str]:
    """Return for each sample what is the same only for equal bytes."""
    digests: dict[str, str] = {}
    for uri in {sample.uri for sample in samples}:
        digests[uri] = uri if uri.startswith(PHANTOM) else digest_of(uri)
    return [f"{digests[sample.uri]} {sample.index}" for sample in samples]


def pair_copies(vectors: NDArray[np.float32], digests: Sequence[str]) -> list[Copy]:
    """Return the pairs of copies in order of places.

    Parameters
    ----------
    vectors : shape (N, D), of unit length or zero
    digests : N texts, equal for equal bytes
    """
    alike = defaultdict(list)
    for place, digest in enumerate(digests):
        alike[digest].append(place)
    found = [Copy(a, b, 1.0, "byte") for group in alike.values() for a, b in _pairs(group)]
    near: dict[tuple[int, int], float] = {}
    for a, b, similarity in _near(vectors):
        if digests[a] != digests[b]:
            near[min(a, b), max(a, b)] = similarity
    return sorted(found + [Copy(a, b, s, "near") for (a, b), s in near.items()])


def _pairs(group: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield all pairs of a small group; of a large one, each member with the first."""
    if len(group) <= KEPT:
        yield from combinations(group, 2)
    else:
        yield from ((group[0], other) for other in group[1:])


def _near(vectors: NDArray[np.float32]) -> Iterator[tuple[int, int, float]]:
    """Yield each place with its most similar other places, block by block."""
    for start in range(0, len(vectors), BLOCK):
        scores = vectors[start : start + BLOCK] @ vectors.T
        own = np.arange(len(scores))
        scores[own, own + start] = 0.0
        rows, columns = np.nonzero(scores >= NEAR)
        values = scores[rows, columns]
        order = np.lexsort((columns, -values, rows))
        rows, columns, values = rows[order], columns[order], values[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        few = rank < KEPT
        best = np.minimum(values[few], 1.0)
        places = ((rows[few] + start).tolist(), columns[few].tolist(), best.tolist())
        yield from zip(*places, strict=True)
