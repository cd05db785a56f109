"""From a sample to model input, by the very functions that the run time uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from engines.preprocess import to_model_input
from engines.spec import Fit
from stream.sources.image_pixels import decode_image, read_head
from train.data import Sample


def read_still(path: Path) -> Pixels:
    """Decode one still as the sources do.

    Raises
    ------
    SourceError
        If it is not a picture or its size is out of range.
    """
    data = path.read_bytes()
    pixels, _ = decode_image(data, read_head(data, path.name), path.name)
    return pixels


def load_inputs(
    samples: Sequence[Sample], input_wh: tuple[int, int], fit: Fit
) -> NDArray[np.uint8]:
    """Return the model inputs of stills, shape (N, h, w, 3), uint8 RGB; 150 kB each at 224 px."""
    width, height = input_wh
    inputs = np.empty((len(samples), height, width, 3), np.uint8)
    for place, sample in enumerate(samples):
        inputs[place] = to_model_input(read_still(Path(sample.uri)), input_wh, fit)
    return inputs
