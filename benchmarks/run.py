"""A whole run: measure, judge, show, keep, draw, compare."""

from __future__ import annotations

from pathlib import Path

from benchmarks.budgets import judge, read_budgets
from benchmarks.compare import show_comparison
from benchmarks.machine import describe_machine
from benchmarks.parts import PARTS, run_apart, run_part
from benchmarks.plan import Plan
from benchmarks.plot import draw_report
from benchmarks.report_file import read_report, write_report
from benchmarks.result import Part, Report
from benchmarks.show import note, show_report
from stream import console
from stream.session.manifest import utc_now


def run(what: str, plan: Plan, out: Path, before: Path | None) -> int:
    """Run one benchmark, or all; return 1 when a budget is missed or a benchmark failed.

    Raises
    ------
    SourceError
        If `before` is no report; found out before anything is measured.
    """
    old = read_report(before) if before else None
    report = make_report(what, plan)
    show_report(report)
    write_report(out, report)
    plot = out.with_suffix(".svg")
    drawn = draw_report(report, plot)
    if old:
        show_comparison(old, report)
    console.say(f"report: {out}")
    console.say(f"plot: {plot}" if drawn else "plot: not drawn, matplotlib is not installed")
    return 1 if report.failed or any(verdict.fails for verdict in report.verdicts) else 0


def make_report(what: str, plan: Plan) -> Report:
    """Return the judged report of one benchmark or of all, each of which may fail alone."""
    machine, created = describe_machine(), utc_now()
    parts, failed = list[Part](), dict[str, str]()
    if what != "all":
        parts.append(run_part(what, plan))
    else:
        for name in PARTS:
            note(f"benchmark {name}")
            found = run_apart(name, plan)
            if isinstance(found, Part):
                parts.append(found)
            else:
                failed[name] = found
    return Report(
        created=created,
        machine=machine,
        quick=plan.quick,
        parts=tuple(parts),
        failed=failed,
        verdicts=judge(parts, read_budgets()),
    )
