"""Writes pictures as a video file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stream.errors import StorageError, UsageError

QUALITY_CRF = "23"


def write_video(path: Path, images: Iterable[NDArray[np.uint8]], rate_hz: float) -> int:
    """Encode pictures as H.264 (yuv420p) and return how many there were.

    Parameters
    ----------
    path : file to write; the suffix names the container
    images : (H, W) grey or (H, W, 3) RGB, all of one even size
    rate_hz : frames per second

    Raises
    ------
    StorageError
        If the file cannot be written.
    UsageError
        If no container goes by that suffix.
    """
    count = 0
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", Fraction(rate_hz).limit_denominator(1001))
            stream.pix_fmt, stream.options = "yuv420p", {"crf": QUALITY_CRF, "preset": "slow"}
            for image in images:
                if not count:
                    stream.height, stream.width = image.shape[:2]
                layout = "gray" if image.ndim == 2 else "rgb24"
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=layout)))
                count += 1
            container.mux(stream.encode(None))
    except ValueError as error:
        raise UsageError(path.name, str(error), "name it .mp4 or .mkv", fault="C08") from error
    except (OSError, av.FFmpegError) as error:
        raise StorageError(str(path), f"cannot be written: {error}") from error
    return count
