"""What of a report a person reads: a table for each benchmark, then the budgets."""

from __future__ import annotations

from benchmarks.result import Part, Report, Row, Verdict, median, noise
from stream import console

MACHINE = ("processor", "cores", "memory_gib", "load", "gpu", "commit")
COLUMNS = ("row", "median", "spread", "p50 / p95 / p99", "ours is", "of limit")


def show_report(report: Report) -> None:
    """Print everything but the curves, which are drawn."""
    machine = report.machine
    said = (f"{name} {machine[name]}" for name in MACHINE if name in machine)
    console.say(", ".join(said))
    for part in report.parts:
        _show_part(part)
    for name, reason in report.failed.items():
        console.fail(f"benchmark failed: {name}: {reason}")
    if report.verdicts:
        heads = ("budget", "measured", "noise", "wanted", "")
        console.show_table("Budgets", heads, [_judged(verdict) for verdict in report.verdicts])
    for verdict in report.verdicts:
        if verdict.fails:
            console.warn(str(verdict))


def note(line: str) -> None:
    """Show a line of progress."""
    console.err().print(line, markup=False)


def number(value: float) -> str:
    """Return a number with three digits or more, without an exponent."""
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:.{digits}f}"
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"


def _show_part(part: Part) -> None:
    cells = [_cells(row, part) for row in part.rows]
    rated = {ratio.name for row in part.rows for ratio in part.ratios if ratio.to == row.name}
    cells += [
        (ratio.name, f"{number(median(ratio.values))} x", _spread(ratio.values), "", "", "")
        for ratio in part.ratios
        if ratio.name not in rated
    ]
    cells += [(skip.row, "not measured", "", skip.reason, "", "") for skip in part.skipped]
    title = f"{part.name}: {part.about}" if part.about else part.name
    console.show_table(f"{title} ({part.seconds:.0f} s)", COLUMNS, cells)


def _judged(verdict: Verdict) -> tuple[str, ...]:
    state = f"{verdict.state}: {verdict.reason}" if verdict.reason else verdict.state
    measured = () if verdict.measured is None else (verdict.measured, verdict.noise)
    return (
        verdict.row,
        *(map(number, measured) if measured else ("", "")),
        f"at {'least' if verdict.least else 'most'} {verdict.wanted:g}",
        state,
    )


def _cells(row: Row, part: Part) -> tuple[str, ...]:
    many = row.percentiles
    return (
        row.name,
        f"{number(median(row.values))} {row.unit}".strip(),
        _spread(row.values),
        " / ".join(map(number, (many.p50, many.p95, many.p99))) if many else "",
        ", ".join(
            f"{number(median(ratio.values))} x" for ratio in part.ratios if _beats(ratio.to, row)
        ),
        ", ".join(
            f"{median(ratio.values):.0%}"
            for ratio in part.ratios
            if ratio.of == row.name and _is_limit(ratio.to, part)
        ),
    )


def _beats(to: str, row: Row) -> bool:
    return to == row.name and row.role != "limit"


def _is_limit(name: str, part: Part) -> bool:
    return any(row.name == name and row.role == "limit" for row in part.rows)


def _spread(values: tuple[float, ...]) -> str:
    return f"± {number(noise(values))}" if len(values) > 1 else ""
