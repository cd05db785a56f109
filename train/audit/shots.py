"""Looks at every labelled file and keeps what the checks need, about 5 kB a frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Box, Pixels
from stream.errors import SourceError
from train.audit.copies import SIDE_PX, contents, detail_of
from train.audit.text import find_text
from train.data.loader import read_samples
from train.data.samples import Sample, as_sample, frames_of
from train.data.table import Row

Tick = Callable[[int | None], None]


@dataclass(frozen=True, slots=True)
class Glance:
    """What is kept of one frame besides its detail.

    Parameters
    ----------
    size_wh : pixels
    brightness : mean grey level, 0 to 255
    text : boxes of burned-in text
    """

    size_wh: tuple[int, int]
    brightness: float
    text: tuple[Box, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Shots:
    """The frames that could be read, N of them, and the files that could not.

    Parameters
    ----------
    samples : N, with labels as places in `classes`
    files : N paths from the data's folder
    rows : N table rows
    glances : N
    vectors : shape (N, 1024), float32, as in `copies.detail_of`
    digests : N texts, equal for equal bytes
    classes : names of labels, sorted
    unreadable : file and why
    """

    samples: tuple[Sample, ...]
    files: tuple[str, ...]
    rows: tuple[Row, ...]
    glances: tuple[Glance, ...]
    vectors: NDArray[np.float32]
    digests: tuple[str, ...]
    classes: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label of each frame, shape (N,)."""
        return np.array([sample.label for sample in self.samples], np.int64)


def look_at(rows: Sequence[Row], root: Path, frames_per_clip: int, tick: Tick) -> Shots:
    """Decode every file; what cannot be decoded is listed, not raised.

    Parameters
    ----------
    root : folder that files are named from
    tick : called after each file with the number of files
    """
    classes = sorted({row.cells["label"].strip() for row in rows})
    found: list[tuple[Sample, str, Row, Glance]] = []
    vectors: list[NDArray[np.float32]] = []
    digests: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for row in rows:
        file = os.path.relpath(row.path, root)
        try:
            samples = frames_of(
                as_sample(row, classes.index(row.cells["label"].strip())), frames_per_clip
            )
            seen = [(samples[place], pixels) for place, pixels in read_samples(samples)]
            digests += contents([sample for sample, _ in seen])
        except SourceError as error:
            unreadable.append((file, error.problem))
            continue
        finally:
            tick(len(rows))
        found += [(sample, file, row, _glance(pixels)) for sample, pixels in seen]
        vectors += [detail_of(pixels) for _, pixels in seen]
    columns = tuple(zip(*found, strict=True)) or ((),) * 4
    stacked = np.stack(vectors) if vectors else np.empty((0, SIDE_PX**2), np.float32)
    return Shots(*columns, stacked, tuple(digests), tuple(classes), tuple(unreadable))


def _glance(pixels: Pixels) -> Glance:
    image = pixels.to_image()
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = pixels.shape_hw
    return Glance((width, height), float(grey.mean()), tuple(find_text(grey)))
