"""Pictures as JPEG files."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Encode a grey (H, W) or RGB picture with full colour resolution, at a quality up to 100."""
    full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour]
    return cv2.imencode(".jpg", _as_bgr(image), options)[1].tobytes()


def _as_bgr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as OpenCV writes it; grey stays grey."""
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)
