"""Wire: how old a full frame is when another process has it, and how many a second get there.

The shared ring of the live system stands beside a message that carries the picture, and beside the
limit: copying the picture into memory and out again, in one process.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.live_transport import Carried, Load, Transport, carry, copy_ms
from benchmarks.plan import Plan
from benchmarks.result import Part, Ratio, Role, Row, percentiles, times_as_fast
from benchmarks.show import note

PACE_HZ = 60.0
SIZES, QUICK_SIZES = ("480p", "720p", "1080p", "4K"), ("1080p",)
FRAMES, QUICK_FRAMES = 200, 40
ROLES: dict[Transport, Role] = {"ring": "ours", "message": "instead"}


def measure(plan: Plan) -> Part:
    """Measure each size; the transports take turns."""
    rows, ratios = list[Row](), list[Ratio]()
    for size in QUICK_SIZES if plan.quick else SIZES:
        note(f"wire: {size}")
        found = _measure_size(size, QUICK_FRAMES if plan.quick else FRAMES, plan.rounds)
        rows += found.values()
        ratios += _ratios(size, found)
    return Part(
        name="wire",
        about=f"YUV 4:2:0 between two processes, ms at {PACE_HZ:g} frames/s",
        rows=tuple(rows),
        ratios=tuple(ratios),
    )


def _measure_size(size: str, frames: int, rounds: int) -> dict[str, Row]:
    """Return the rows of a size by what they are."""
    carried: dict[Transport, list[Carried]] = {name: [] for name in ROLES}
    copies = list[list[float]]()
    for _ in range(rounds):
        for name in ROLES:
            carried[name].append(carry(Load(size, frames, PACE_HZ), name))
        copies.append(copy_ms(size, frames))
    found: dict[str, Row] = {
        name: _latency(f"{size} {name}", role, [one.ages_ms for one in carried[name]])
        for name, role in ROLES.items()
    }
    found["copy"] = _latency(f"{size} copy in and out", "limit", copies)
    for name, role in ROLES.items():
        rates = tuple(one.frames_hz for one in carried[name])
        row = Row(name=f"{size} {name}, most", unit="frames/s", role=role, values=rates)
        found[f"{name} rate"] = row
    return found


def _latency(name: str, role: Role, rounds: list[list[float]]) -> Row:
    return Row(
        name=name,
        unit="ms",
        role=role,
        values=tuple(percentiles(ages).p50 for ages in rounds),
        percentiles=percentiles(age for ages in rounds for age in ages),
    )


def _ratios(size: str, found: dict[str, Row]) -> Iterator[Ratio]:
    yield times_as_fast(f"over_message-{size}", found["ring"], found["message"])
    yield times_as_fast(f"rate_over_message-{size}", found["ring rate"], found["message rate"])
    for name in ROLES:
        yield times_as_fast(f"{name}_of_limit-{size}", found[name], found["copy"])
