"""What one attribution method found for one frame, and what its checks say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLAT = 1e-6
"""Spread of a map, relative to its largest magnitude, below which it orders nothing."""
COMPLETE = 0.05
"""Completeness error that is good enough: Sundararajan et al., ICML 2017, section 5."""
SAME_MAP = 0.5
"""Rank correlation from which a map hardly depends on what the network has learned."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """Score and gradient along the straight line from black to the frame.

    Parameters
    ----------
    shares : shape (S,), 0 is black and 1 the frame
    scores : shape (S,), probability of the target
    gradients : shape (S,), mean magnitude of the derivative of that probability by a pixel value
    """

    shares: NDArray[np.float64]
    scores: NDArray[np.float64]
    gradients: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attribution:
    """One map of one frame for one class.

    Parameters
    ----------
    map : shape (H, W), finite, at the size of the model input
    signed : whether negative values speak against the class; otherwise all values are >= 0
    seconds : how long it took
    lost : pixels for which the method gave no finite value; they are zero in `map`
    steps : points on the line from black to the frame, 0 for methods without one
    completeness_error : of integrated gradients, |sum - D| / |D| with D the difference between the
        logits of frame and black; None for other methods and where D is zero or not finite
    saturation : of the method of that name

    Raises
    ------
    ValueError
        If the map is not a finite picture.
    """

    map: NDArray[np.float32]
    signed: bool
    seconds: float = 0.0
    lost: int = 0
    steps: int = 0
    completeness_error: float | None = None
    saturation: Saturation | None = None

    def __post_init__(self) -> None:
        if self.map.ndim != 2 or not np.isfinite(self.map).all():
            raise ValueError(f"map of shape {self.map.shape}; expected (H, W) of finite values")

    @property
    def flat(self) -> bool:
        """Whether the map is the same everywhere, so that it says nothing."""
        return is_flat(self.map)


def is_flat(values: NDArray[np.float32]) -> bool:
    """Return whether a map is constant up to rounding."""
    return bool(np.ptp(values) <= FLAT * np.abs(values).max())


@dataclass(frozen=True, slots=True)
class Checks:
    """Whether a map orders the frame as the network uses it, and depends on its weights.

    Parameters
    ----------
    deletion, insertion : areas under the curves in [0, 1], None for a flat map
    random_deletions, random_insertions : the same for random orders
    sanity : rank correlation with the map of the network with shuffled weights, None where one of
        the two is flat
    """

    deletion: float | None
    insertion: float | None
    random_deletions: tuple[float, ...]
    random_insertions: tuple[float, ...]
    sanity: float | None

    @property
    def deletes_well(self) -> bool:
        """Whether deletion falls faster than with any of the random orders."""
        return self.deletion is not None and self.deletion < min(self.random_deletions)

    @property
    def inserts_well(self) -> bool:
        """Whether insertion rises faster than with any of the random orders."""
        return self.insertion is not None and self.insertion > max(self.random_insertions)

    @property
    def depends_on_weights(self) -> bool:
        """Whether the map changes when the weights lose what they learned."""
        return self.sanity is not None and self.sanity < SAME_MAP
