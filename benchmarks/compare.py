"""Two reports beside each other."""

from __future__ import annotations

from benchmarks.result import Ratio, Report, Row, median, noise
from benchmarks.show import number
from stream import console

COLUMNS = ("row", "old", "new", "new / old", "")
MARK = "changed"


def show_comparison(old: Report, new: Report) -> None:
    """Print old, new and their ratio of each row and ratio that both have."""
    title = f"Against {old.created}, commit {old.machine.get('commit', '?')}"
    rows = compare(old, new)
    console.show_table(title, COLUMNS, rows)
    changed = sum(row[-1] == MARK for row in rows)
    console.say(f"{changed} of {len(rows)} rows changed by more than the noise of both runs")
    for name in ("processor", "cores", "gpu"):
        before, now = (report.machine.get(name, "?") for report in (old, new))
        if before != now:
            console.warn(f"another machine: {name} was {before}, is {now}")


def compare(old: Report, new: Report) -> list[tuple[str, ...]]:
    """Return the cells of each row that both have."""
    before, now = _rows(old), _rows(new)
    return [_cells(name, before[name], row) for name, row in now.items() if name in before]


def _rows(report: Report) -> dict[str, Row | Ratio]:
    return {f"{part.name}.{row.name}": row for part in report.parts for row in part.measured}


def _cells(name: str, old: Row | Ratio, new: Row | Ratio) -> tuple[str, ...]:
    before, now = median(old.values), median(new.values)
    unit = new.unit if isinstance(new, Row) else "x"
    moved = abs(now - before) > noise(old.values) + noise(new.values)
    return (
        name,
        f"{number(before)} {unit}".strip(),
        f"{number(now)} {unit}".strip(),
        number(now / before) if before else "",
        MARK if moved else "",
    )
