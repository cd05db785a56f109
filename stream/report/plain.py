"""A key frame and its map as they are, for programs and for figures of one's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.png import encode_png
from stream.report.content import KeyFrame, ReportContent


def encode_frame(content: ReportContent, key: KeyFrame) -> bytes:
    """Encode the picture of a key frame, pixel by pixel, as PNG.

    Where the spacing is known, the file gives it as the size of a pixel (pHYs), so that a program
    that heeds it prints anatomy at its own size.
    """
    return encode_png(key.image, _pixel_mm_wh(content))


def encode_map(content: ReportContent, key: KeyFrame) -> bytes:
    """Encode the saliency of a key frame as a grey PNG of the frame's size.

    255 is the model's full scale, the same for every frame of the run; 0 is nothing.
    """
    level: NDArray[np.uint8] = np.rint(255 * np.clip(np.nan_to_num(key.saliency), 0, 1)).astype(
        np.uint8
    )
    return encode_png(level, _pixel_mm_wh(content))


def _pixel_mm_wh(content: ReportContent) -> tuple[float, float] | None:
    spacing = content.pixel_spacing_mm
    return None if spacing is None else (spacing[1], spacing[0])
