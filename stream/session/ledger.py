"""The ledger: grabbed = analysed + the sum of named losses, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from stream.frame import State

LOSSES: Mapping[State, str] = {
    "no_signal": "invalid_frame",
    "uniform": "invalid_frame",
    "not_ultrasound": "invalid_frame",
    "damaged": "invalid_frame",
    "failed_infer": "failed_infer",
    "withdrawn": "failed_infer",
    "skipped": "skipped_by_policy",
}
NAMES = (
    "grabbed",
    "analysed",
    "capture_drop",
    "transport_gap",
    "skipped_by_policy",
    "failed_infer",
    "invalid_frame",
    "not_recorded",
)


class Ledger:
    """Counts every grabbed frame once under what became of it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, state: State, count: int = 1) -> None:
        """Account for frames of one state."""
        self._counts["grabbed"] += count
        self._counts[LOSSES.get(state, "analysed")] += count

    def totals(self) -> dict[str, int]:
        """Return all counts by name, zeros included; the first equals the sum of the others."""
        return {name: self._counts[name] for name in NAMES}


def balances(totals: Mapping[str, int]) -> bool:
    """Return whether grabbed equals analysed plus all losses."""
    return totals["grabbed"] == sum(totals[name] for name in NAMES[1:])
