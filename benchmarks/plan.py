"""What a run of `stream bench` is told."""

from __future__ import annotations

from typing import Literal

import msgspec

Device = Literal["cpu", "cuda"]

ROUNDS, QUICK_ROUNDS = 5, 2


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is measured, and how long.

    Parameters
    ----------
    quick : few frames and rounds, so that all benchmarks end within five minutes
    rounds : interleaved repetitions; the median counts
    device : of engines, whose are run, the others are listed; replay has a card's loops besides
    models : of engines, ``FILE`` or ``LABEL=FILE``; the defaults when empty
    frames : of engines, clips, stills, folders or tables to judge on; generated ones when empty
    memory : also start-up and peak memory, in processes of their own
    slow : of live, one long session with an engine three times too slow and nothing else
    """

    quick: bool = False
    rounds: int = ROUNDS
    device: Device = "cpu"
    models: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    memory: bool = True
    slow: bool = False
