"""Which budgets there are, and whether a run kept them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.result import Part, Ratio, Row, Verdict, median, noise

BUDGETS = Path(__file__).with_name("budgets.toml")
FULL_RUN, REAL_CLIPS, SLOW_RUN = "full run", "real clips", "slow run"
"""Conditions that a budget may have."""


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The budgets of one benchmark, by name of a row, ratio or figure.

    A budget `x` also judges what is called `x-` and more, each by itself.

    Parameters
    ----------
    quick : bounds that hold in a quick run instead
    only : conditions without which a budget is not judged
    """

    at_least: dict[str, float] = {}
    at_most: dict[str, float] = {}
    quick: dict[str, float] = {}
    only: dict[str, tuple[str, ...]] = {}

    def wanted(self, name: str, part: Part) -> float:
        """Return the bound of a budget for the run that a part comes from."""
        bound = (self.at_least | self.at_most)[name]
        return self.quick.get(name, bound) if FULL_RUN in part.lacks else bound


def read_budgets(path: Path = BUDGETS) -> dict[str, Bounds]:
    """Return the budgets of each benchmark."""
    return msgspec.toml.decode(path.read_bytes(), type=dict[str, Bounds])


def judge(parts: Sequence[Part], budgets: Mapping[str, Bounds]) -> tuple[Verdict, ...]:
    """Judge what was measured, and name the budgets for which nothing was."""
    return tuple(
        verdict
        for part in parts
        for bounds in [budgets.get(part.name, Bounds())]
        for name in (*bounds.at_least, *bounds.at_most)
        for verdict in _judge_budget(part, name, bounds)
    )


def _judge_budget(part: Part, name: str, bounds: Bounds) -> Iterator[Verdict]:
    """Yield the verdict on each row of a budget, or the one that there is none."""
    change = msgspec.structs.replace
    blank = Verdict(
        row=f"{part.name}.{name}",
        least=name in bounds.at_least,
        wanted=bounds.wanted(name, part),
        state="not measured",
    )
    lacking = [condition for condition in bounds.only.get(name, ()) if condition in part.lacks]
    if lacking:
        yield change(blank, state="not judged", reason=f"holds for a {' with '.join(lacking)} only")
        return
    rows = [row for row in part.measured if _bears_on(row.name, name)]
    for row in rows:
        yield _judge_row(row, change(blank, row=f"{part.name}.{row.name}"))
    if not rows:
        reasons = [skip.reason for skip in part.skipped if _bears_on(skip.row, name)]
        yield change(blank, reason="; ".join(reasons))


def _judge_row(row: Row | Ratio, blank: Verdict) -> Verdict:
    """Call it missed when the median is on the wrong side by more than the noise."""
    middle, spread = median(row.values), noise(row.values)
    over = blank.wanted - middle if blank.least else middle - blank.wanted
    state = "missed" if over > spread else "kept"
    return msgspec.structs.replace(blank, measured=middle, noise=spread, state=state)


def _bears_on(row: str, budget: str) -> bool:
    return row == budget or (row.startswith(f"{budget}-") and ": " not in row)
