"""Frames for calibration and for the acceptance gate, as model inputs with where they came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class FrameSet:
    """N frames as a model takes them.

    Parameters
    ----------
    inputs : shape (N, h, w, 3), uint8 RGB
    names : where each frame is, such as ``clip.mp4#17``
    groups : what may not be split between calibration and held-out frames: person, else clip
    times_s : place in the clip, NaN for stills
    labels : shape (N,), class index, -1 where unknown
    origin : in words
    """

    inputs: NDArray[np.uint8]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    times_s: NDArray[np.float64]
    labels: NDArray[np.int64]
    origin: str

    def __len__(self) -> int:
        return len(self.names)

    def take(self, places: NDArray[np.int64]) -> FrameSet:
        """Return the frames at `places`, in that order."""
        return FrameSet(
            self.inputs[places],
            tuple(self.names[place] for place in places),
            tuple(self.groups[place] for place in places),
            self.times_s[places],
            self.labels[places],
            self.origin,
        )

    def lines(self) -> list[str]:
        """Return one line per frame: sha256 of the input, label, group, name; tab-separated.

        What cannot be printed, such as a tab in a name, is escaped.
        """
        digests = [hashlib.sha256(frame.tobytes()).hexdigest() for frame in self.inputs]
        rows = zip(digests, self.labels, self.groups, self.names, strict=True)
        return ["\t".join(_printable(str(cell)) for cell in row) for row in rows]

    def digest(self) -> str:
        """Return the sha256 of `lines`."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
