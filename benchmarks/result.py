"""What every benchmark hands back, and the report that is made of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

ROBUST = 1.4826
"""Median absolute deviation times this is the standard deviation of a normal distribution."""
UNITS = {"_ms": "ms", "_mib": "MiB", "_s": "s", "_hz": "frames/s"}
Role = Literal["ours", "instead", "limit", "figure"]
Values = tuple[float, ...]


class Percentiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of single runs, over all rounds, in the unit of the row."""

    p50: float
    p95: float
    p99: float


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that was measured.

    Parameters
    ----------
    name : of the row; its benchmark's name and a point before it make it known to budgets
    unit : of the values; per second means that more is better, else less is
    role : ours, what a user would pick instead, the limit, or any other figure
    values : one a round
    percentiles : of a latency
    """

    name: str
    unit: str
    role: Role = "figure"
    values: Values
    percentiles: Percentiles | None = None

    def __post_init__(self) -> None:
        check_values(self.name, self.values)

    @property
    def more_is_better(self) -> bool:
        """Whether it is a rate."""
        return self.unit.endswith("/s")


class Ratio(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many times as fast one row is as another, round by round, so that noise cancels.

    Parameters
    ----------
    of, to : names of the rows; empty where they are no rows of the table
    values : one a round
    """

    name: str
    of: str = ""
    to: str = ""
    values: Values

    def __post_init__(self) -> None:
        check_values(self.name, self.values)


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place on a curve and what was measured there, once a round."""

    x: float
    values: Values


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a cost grows.

    Parameters
    ----------
    name : of the panel; curves of one name are drawn together
    line : what this one is
    x, y : what grows and what it costs, with units
    """

    name: str
    line: str = ""
    x: str
    y: str
    points: tuple[Point, ...]


class Skipped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row, ratio or figure that could not be measured here, and why."""

    row: str
    reason: str


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a budget comes to.

    Parameters
    ----------
    row : full name of what was judged, such as `replay.of_limit`
    wanted : the bound; `least` when it is the least allowed, else the most
    measured, noise : median and standard deviation of the rounds; None was not measured
    state : `not judged` when a condition of the budget did not hold
    reason : why it was not measured, or not judged; nobody knows when empty
    """

    row: str
    least: bool
    wanted: float
    measured: float | None = None
    noise: float = 0.0
    state: Literal["kept", "missed", "not measured", "not judged"]
    reason: str = ""

    @property
    def fails(self) -> bool:
        """Whether the run fails: missed, or not measured where it could have been."""
        return self.state == "missed" or (self.state == "not measured" and not self.reason)

    def __str__(self) -> str:
        wanted = f"wanted at {'least' if self.least else 'most'} {self.wanted:.2f}"
        said = f"budget {self.state}: {self.row}"
        if self.measured is not None:
            said += f" is {self.measured:.2f} (noise {self.noise:.2f})"
        return f"{said}, {wanted}" + (f"; {self.reason}" if self.reason else "")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that one benchmark found.

    Parameters
    ----------
    about : what was measured, in words
    lacks : conditions of budgets that did not hold; see `benchmarks.budgets`
    details : what a page of its own is made from
    """

    name: str
    about: str = ""
    rows: tuple[Row, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    curves: tuple[Curve, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    lacks: tuple[str, ...] = ()
    seconds: float = 0.0
    details: dict[str, Any] = {}

    @property
    def measured(self) -> tuple[Row | Ratio, ...]:
        """Every row and ratio."""
        return *self.rows, *self.ratios


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A run of `stream bench`.

    Parameters
    ----------
    created : wall time in UTC
    failed : what ended a benchmark before its end, by its name
    """

    schema: Literal[1] = 1
    created: str
    machine: dict[str, str]
    quick: bool
    parts: tuple[Part, ...]
    failed: dict[str, str] = {}
    verdicts: tuple[Verdict, ...] = ()


def check_values(name: str, values: Sequence[float]) -> None:
    """Refuse no value and values that are no numbers.

    Raises
    ------
    ValueError
        With the name of the row.
    """
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"{name}: values {values}; expected at least one, all finite")


def median(values: Sequence[float]) -> float:
    """Return the median of the rounds."""
    return float(statistics.median(values))


def noise(values: Sequence[float]) -> float:
    """Return the standard deviation of the rounds, robustly; 0 of a single one."""
    middle = statistics.median(values)
    return float(ROBUST * statistics.median(abs(value - middle) for value in values))


def percentiles(runs: Iterable[float]) -> Percentiles:
    """Return the percentiles of single runs, at least one."""
    return Percentiles(*(float(p) for p in np.percentile(list(runs), (50, 95, 99))))


def times_as_fast(name: str, of: Row, to: Row) -> Ratio:
    """Return how many times as fast `of` is as `to` in each round.

    Raises
    ------
    ValueError
        If they have other units or numbers of rounds.
    """
    if of.unit != to.unit:
        raise ValueError(f"{name}: {of.unit} over {to.unit}; expected one unit")
    pairs = zip(of.values, to.values, strict=True)
    values = (a / b if of.more_is_better else b / a for a, b in pairs)
    return Ratio(name=name, of=of.name, to=to.name, values=tuple(values))


def figure(name: str, *values: float, role: Role = "figure") -> Row:
    """Return a row whose unit is the end of its name, such as `_ms`; none when it is no unit."""
    unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    return Row(name=name, unit=unit, role=role, values=values)


def curve(name: str, axes: tuple[str, str], points: Iterable[tuple[float, float]]) -> Curve:
    """Return a curve measured once."""
    x, y = axes
    return Curve(name=name, x=x, y=y, points=tuple(Point(place, (cost,)) for place, cost in points))
