"""Draws a report as SVG: rows as bars with their spread, and every curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.result import Curve, Report, Row, median, noise
from benchmarks.show import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = {"ours": "#1f6fb4", "instead": "#c8541c", "limit": "#9aa3ad"}
LINES = ("#1f6fb4", "#c8541c", "#5b6673", "#2f8f5b", "#9aa3ad")
PANEL_IN = (5.2, 3.6)
COLUMNS, BARS = 3, 14
"""Panels beside each other, and bars in one of them."""
WIDE = 20
"""An axis whose ends are this far apart, as a ratio, is logarithmic."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A title and what is drawn below it, bars or lines."""

    title: str
    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()


def draw_report(report: Report, path: Path) -> bool:
    """Draw a report; nothing is written, and False returned, where matplotlib is absent."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        return False
    panels = list(find_panels(report))
    columns = min(COLUMNS, max(1, len(panels)))
    lines = -(-max(1, len(panels)) // columns)
    width, height = PANEL_IN
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9}):
        sheet = Figure((columns * width, lines * height + 0.6), layout="constrained")
        sheet.suptitle(_title(report), fontsize=10)
        grid = sheet.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, panel in zip(grid.flat, panels, strict=False):
            axes.set_title(panel.title, loc="left", fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
            (_draw_bars if panel.rows else _draw_lines)(axes, panel)
        sheet.savefig(path, format="svg", metadata={"Date": None})
    return True


def find_panels(report: Report) -> Iterator[Panel]:
    """Yield the bars of each benchmark, a unit at a time, then its curves, a name at a time."""
    for part in report.parts:
        drawn = [row for row in part.rows if row.role in COLORS]
        for unit in dict.fromkeys(row.unit for row in drawn):
            rows = tuple(row for row in drawn if row.unit == unit)
            for first in range(0, len(rows), BARS):
                yield Panel(f"{part.name}, {unit}", rows[first : first + BARS])
        for name in dict.fromkeys(curve.name for curve in part.curves):
            curves = tuple(curve for curve in part.curves if curve.name == name)
            yield Panel(f"{part.name}: {name}", curves=curves)


def _title(report: Report) -> str:
    machine = report.machine
    length = "quick run, " if report.quick else ""
    return (
        f"{length}{report.created}, commit {machine['commit']}\n"
        f"{machine['cores']} cores of {machine['processor']}; medians, whiskers are the spread"
    )


def _draw_bars(axes: Axes, panel: Panel) -> None:
    rows = panel.rows[::-1]
    middles = [median(row.values) for row in rows]
    axes.barh(
        [row.name for row in rows],
        middles,
        xerr=[noise(row.values) for row in rows],
        color=[COLORS[row.role] for row in rows],
        error_kw={"elinewidth": 1, "capsize": 2},
        height=0.7,
    )
    if max(middles) > WIDE * max(min(middles), 1e-9) > 0:
        axes.set_xscale("log")
    for place, (row, middle) in enumerate(zip(rows, middles, strict=True)):
        end = (middle + noise(row.values), place)
        axes.annotate(
            number(middle), end, (6, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.margins(x=0.15)


def _draw_lines(axes: Axes, panel: Panel) -> None:
    for curve, color in zip(panel.curves, LINES * len(panel.curves), strict=False):
        xs = [point.x for point in curve.points]
        ys = [median(point.values) for point in curve.points]
        spreads = [noise(point.values) for point in curve.points]
        axes.errorbar(xs, ys, spreads, marker="o", ms=4, color=color, label=curve.line, capsize=2)
    first = panel.curves[0]
    xs = [point.x for point in first.points]
    axes.set_xlabel(first.x)
    axes.set_ylabel(first.y)
    axes.set_ylim(bottom=0)
    if xs and min(xs) > 0 and max(xs) >= WIDE * min(xs):
        axes.set_xscale("log")
    axes.set_xticks(xs, [f"{x:g}" for x in xs])
    axes.minorticks_off()
    if any(curve.line for curve in panel.curves):
        axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
