"""What capture notices about each picture as it comes; pure, and the same in every test."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Box, Pixels
from stream.clock import MS
from stream.live.capture.media import SourceTime
from stream.sources.live.base import Grabbed

FROZEN_NS = 1000 * MS
"""Identical pictures for longer are frozen (F15); a live probe's noise never repeats."""
SAMPLES = 4096
"""Pixels compared one by one, at least, in pictures that have so many."""

_INTERVALS = 30
_SPAN = 8  # pictures over which an interval is averaged, for they often come in bursts
_FEWEST = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """What capture notices about one picture.

    Parameters
    ----------
    new_format : size or plane layout differ from the picture before (F17)
    period_ns : measured time between pictures, 0 while unknown (F18)
    frozen : identical to those before it for longer than `FROZEN_NS` of capture time
    jumped : the source's time went back, leapt, or ceased here (F19)
    """

    new_format: bool
    period_ns: int
    frozen: bool
    jumped: bool


class CaptureJudge:
    """Judges the pictures of a source in order; keeps a sparse sample of one of them."""

    def __init__(self) -> None:
        self._layout: object = None
        self._period = _Period()
        self._still = _Still()
        self._source_time = SourceTime()

    def take(self, grabbed: Grabbed, box_xyxy: Box | None = None) -> Judged:
        """Judge the next picture.

        Parameters
        ----------
        grabbed : as it came
        box_xyxy : part of it whose standstill counts, as a scanner's clock goes on; all when None
        """
        pixels = grabbed.pixels
        layout = ([plane.shape for plane in pixels.planes], pixels.matrix, pixels.full_range)
        new_format = self._layout is not None and layout != self._layout
        self._layout = layout
        return Judged(
            new_format,
            self._period.add(grabbed.captured_ns),
            self._still.lasts(pixels, box_xyxy, grabbed.captured_ns),
            self._source_time.jumps(grabbed.pts_ns),
        )


class _Period:
    """Median over the last intervals, each the mean over a few pictures."""

    def __init__(self) -> None:
        self._times_ns: deque[int] = deque(maxlen=_INTERVALS + 1)

    def add(self, captured_ns: int) -> int:
        times = self._times_ns
        times.append(captured_ns)
        if len(times) <= _FEWEST:
            return 0
        span = min(_SPAN, len(times) - 1)
        starts = list(times)
        return round(median(b - a for a, b in zip(starts, starts[span:], strict=False)) / span)


class _Still:
    """Tells pictures that repeat: the same sample and the same sum over every second row."""

    def __init__(self) -> None:
        self._sample = np.zeros((0, 0), np.uint8)
        self._sum: tuple[float, ...] = ()
        self._since_ns = 0

    def lasts(self, pixels: Pixels, box: Box | None, captured_ns: int) -> bool:
        left, top, right, bottom = box or (0, 0, *pixels.shape_hw[::-1])
        part = pixels.planes[0][top:bottom, left:right]
        sample, total = _sample(part), tuple(cv2.sumElems(part[::2]))
        if total != self._sum or not np.array_equal(sample, self._sample):
            self._sample, self._sum, self._since_ns = sample.copy(), total, captured_ns
        return captured_ns - self._since_ns > FROZEN_NS


def _sample(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return every n-th pixel both ways, at least `SAMPLES` of them where there are so many."""
    step = max(1, int((plane.shape[0] * plane.shape[1] / SAMPLES) ** 0.5))
    return plane[::step, ::step]
