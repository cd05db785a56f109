"""The two networks that find and read text, from the files of an installed package."""

from __future__ import annotations

from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from stream.errors import StreamError

PACKAGE = "rapidocr_onnxruntime"
DETECTOR, READER = "ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"
_SIZES = 4
"""Sizes of picture whose detector is kept."""
_SETTINGS = {
    "INFERENCE_NUM_THREADS": 1,
    "INFERENCE_PRECISION_HINT": "f32",  # the same answer on every processor
}


class NoTextDetectorError(StreamError):
    """The package with the networks is not installed, so no picture may leave unseen."""

    exit_code = 5


class Networks:
    """Finds and reads text, on one thread of the processor; each network is opened when needed.

    The detector is compiled for each size of picture: the frames of a report share one, and it
    answers in four fifths of the time that one for all sizes takes.
    """

    def __init__(self, folder: Path) -> None:
        self._core, self._folder = ov.Core(), folder
        self._detector = lru_cache(_SIZES)(self._open_detector)

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """What the reader's probabilities are of; the first is no letter."""
        info = self._reader_model.get_rt_info(["framework", "character"])
        return ("", *info.astype(str).split("\n"), " ")

    def detect(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return shape (1, 1, h, w), in [0, 1], of (1, 3, h, w); sides are multiples of 32."""
        return np.asarray(self._detector(pictures.shape)(pictures)[0])

    def read(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each letter, shape (1, t, letters), of (1, 3, 48, w)."""
        return np.asarray(self._reader(rows)[0])

    @cached_property
    def _reader(self) -> ov.CompiledModel:
        return self._compile(self._reader_model, [1, 3, 48, -1])

    @cached_property
    def _reader_model(self) -> ov.Model:
        return self._core.read_model(self._folder / READER)

    def _open_detector(self, shape: tuple[int, ...]) -> ov.CompiledModel:
        return self._compile(self._core.read_model(self._folder / DETECTOR), list(shape))

    def _compile(self, model: ov.Model, shape: list[int]) -> ov.CompiledModel:
        model.reshape(shape)
        return self._core.compile_model(model, "CPU", _SETTINGS)


@cache
def open_networks() -> Networks:
    """Open the networks, once in a process.

    Raises
    ------
    NoTextDetectorError
        If the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NoTextDetectorError(
            "text detection", f"{PACKAGE} is missing", "install sonostream again"
        )
    return Networks(Path(spec.submodule_search_locations[0]) / "models")
