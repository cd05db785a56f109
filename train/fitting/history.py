"""The rows that a training leaves, and what follows from them: when to stop and how fast to learn.

Everything here is a function of the rows alone, so a resumed training decides as an uninterrupted
one. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from train.recipe import Plateau, Stop

Row = dict[str, float]
"""epoch (from 1), train_loss, train_accuracy, learning_rate, seconds; with validation also val_loss
and val_accuracy. What is measured on the training part is over changed views, with dropout."""
PLATEAU_DELTA = 1e-4
"""Smallest gain that counts, as in Keras, whose callback the published recipes used."""


def val_losses(rows: Sequence[Row]) -> list[float]:
    """Return the validation losses, oldest first; none where there was no validation."""
    return [row["val_loss"] for row in rows if "val_loss" in row]


def is_best(rows: Sequence[Row]) -> bool:
    """Return whether the last row has a lower validation loss than every row before it."""
    *before, last = val_losses(rows)
    return last < min(before, default=float("inf"))


def has_stalled(rows: Sequence[Row], stop: Stop | None) -> bool:
    """Return whether `patience` epochs in a row brought no gain of more than `min_delta`."""
    return stop is not None and stop.patience in _waits(rows, stop.min_delta)


def count_drops(rows: Sequence[Row], plateau: Plateau | None) -> int:
    """Return how often the learning rate has been lowered: each `patience` epochs without gain."""
    if plateau is None:
        return 0
    waits = _waits(rows, PLATEAU_DELTA)
    return sum(wait > 0 and wait % plateau.patience == 0 for wait in waits)


def _waits(rows: Sequence[Row], delta: float) -> list[int]:
    """Return for each epoch how many have passed since the last gain."""
    best, wait, waits = float("inf"), 0, []
    for loss in val_losses(rows):
        gained = loss < best - delta
        best, wait = (loss, 0) if gained else (best, wait + 1)
        waits.append(wait)
    return waits
