"""Benchmarks whose figures are numbers by name, as parts of a report."""

from __future__ import annotations

import shutil

from benchmarks import bench_archive, bench_report
from benchmarks.budgets import REAL_CLIPS
from benchmarks.plan import Plan
from benchmarks.result import Part, Role, Skipped, curve, figure, times_as_fast

ROLES: dict[str, Role] = {bench_report.WHOLE: "ours", bench_report.FLOOR: "limit"}
SEEKS = ("review_seek_p50_ms", "review_seek_p95_ms")


def measure_archive(plan: Plan) -> Part:
    """Measure an archive: two workers against one, many clips against few."""
    found = bench_archive.measure(plan.quick, plan.rounds)
    clips = curve("clips", ("clips", "CPU ms a clip"), bench_archive.curve(plan.quick))
    workers = curve("workers", ("workers", "clips/s"), bench_archive.workers_curve(plan.quick))
    rows = tuple(
        figure(name, *values, role="ours" if name.endswith("_hz") else "figure")
        for name, values in found.items()
    )
    return Part(name="archive", about="bundled model, FP32", rows=rows, curves=(clips, workers))


def measure_report(plan: Plan) -> Part:
    """Measure the reports of a session, and seeks of the review page."""
    found = bench_report.measure(plan.quick, plan.rounds)
    rows = {
        name: figure(name, *values, role=ROLES.get(name, "figure"))
        for name, values in found.items()
    }
    skipped = () if shutil.which("chromium") else SEEKS
    return Part(
        name="report",
        about="five key frames",
        rows=tuple(rows.values()),
        ratios=(times_as_fast("of_limit", rows[bench_report.WHOLE], rows[bench_report.FLOOR]),),
        skipped=tuple(Skipped(name, "chromium is not installed") for name in skipped),
        lacks=() if bench_report.REAL_CLIP.is_file() else (REAL_CLIPS,),
    )
