"""Writes pictures as a film for a browser: H.264 in MP4, one film frame for each picture.

Every film frame is a key frame. Measured on two real clips and the phantom, that costs 9 to 29 %
more bytes than a key frame in twelve, takes less time to write, and a seek decodes one picture.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from engines.pixels import Matrix, Pixels, resize_plane
from stream.sources.writer import Encoding, VideoWriter

MAX_WH = (1920, 1200)
_OPTIONS = {"preset": "ultrafast", "crf": "20", "bf": "0"}
_SPACES = {"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}
_RANGES = {False: ColorRange.MPEG, True: ColorRange.JPEG}
_ONE_FRAGMENT = {"movflags": "empty_moov+default_base_moof+frag_custom"}


def film_size(shape_hw: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of the film of such pictures: even, and at most `MAX_WH`."""
    height, width = shape_hw
    scale = min(1.0, MAX_WH[0] / width, MAX_WH[1] / height)
    return even(round(width * scale)), even(round(height * scale))


def even(side: int) -> int:
    """Return the side, or one more where it is odd; H.264 halves chroma both ways."""
    return max(2, side + side % 2)


def fit_box(shape_hw: tuple[int, int], size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return where a picture lies in a film of `size_wh`: left, top, right, bottom, centred."""
    (height, width), (film_w, film_h) = shape_hw, size_wh
    scale = min(1.0, film_w / width, film_h / height)
    inner_w, inner_h = min(film_w, round(width * scale)), min(film_h, round(height * scale))
    left, top = (film_w - inner_w) // 2, (film_h - inner_h) // 2
    return left, top, left + inner_w, top + inner_h


class FilmWriter(VideoWriter):
    """Writes one piece of a film: a whole MP4 file of one fragment, whose time begins at 0.

    Pieces with the same size and colours can be shown one after another by Media Source Extensions.

    Parameters
    ----------
    target : file to write, replaced if it exists, or memory
    size_wh : of the film; a picture of another size is placed as `fit_box` says, on black
    matrix, full_range : of its colours, as in `engines.pixels.Pixels`; pictures that have the same,
        and chroma halved both ways, go in as they are, which takes half the time

    Raises
    ------
    StorageError
        If it cannot be written.
    """

    def __init__(
        self,
        target: Path | BytesIO,
        size_wh: tuple[int, int],
        matrix: Matrix = "bt709",
        full_range: bool = False,
    ) -> None:
        self._size_wh, self._colours = size_wh, (matrix, full_range)
        self._space, self._range = _SPACES[matrix], _RANGES[full_range]
        encoding = Encoding(
            container="mp4",
            codec="libx264",
            pix_fmt="yuv420p",
            size_wh=size_wh,
            key_every=1,
            space=int(self._space),
            colour_range=int(self._range),
            options=_OPTIONS,
            mux=_ONE_FRAGMENT,
        )
        super().__init__(target, encoding)

    def write(self, pixels: Pixels, time_ms: int, lasts_ms: int) -> None:
        """Add a picture at `time_ms`, which grows from picture to picture, for `lasts_ms`.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        frame = self._copied(pixels) if self._is_as_film(pixels) else self._placed(pixels)
        self._encode(frame, time_ms, lasts_ms)

    def _placed(self, pixels: Pixels) -> av.VideoFrame:
        image = _on_canvas(pixels.to_image(), self._size_wh)
        layout = "gray" if image.ndim == 2 else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=layout)
        return frame.reformat(
            format="yuv420p",
            dst_colorspace=self._space,
            src_color_range=ColorRange.JPEG,
            dst_color_range=self._range,
        )

    def _is_as_film(self, pixels: Pixels) -> bool:
        width, height = self._size_wh
        shapes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
        same = (pixels.matrix, pixels.full_range) == self._colours
        return same and [plane.shape for plane in pixels.planes] == shapes


def _on_canvas(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    shape_hw = image.shape[0], image.shape[1]
    left, top, right, bottom = fit_box(shape_hw, size_wh)
    fitted = resize_plane(image, (right - left, bottom - top))
    around = (top, size_wh[1] - bottom, left, size_wh[0] - right)
    if not any(around):
        return fitted
    drawn = cv2.copyMakeBorder(fitted, *around, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return drawn.astype(np.uint8, copy=False)
