"""The comparison sheet: frames below each other, methods beside each other, one A4 page."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.attribution.drawing import (
    ALARM,
    Origin,
    Row,
    draw_scale,
    find_scale,
    open_plain,
    paint,
    show_picture,
)
from train.attribution.maps import COMPLETE, Attribution, Checks
from train.figures.canvas import drawable, short

PAGE_WH = (11.69, 8.27)
"""A4 landscape, inches."""
MARGIN, GAP, HEAD, FOOT = 0.3, 0.08, 0.85, 1.1
NOTES = 0.5
"""Height of the lines below each map, inches."""
TOP = PAGE_WH[1] - HEAD
MOST_ROWS = 5
SMALL = 6.0
WIDEST = 2.6
LETTERS = 15
"""Of `SMALL` size in an inch."""
LEGEND = (
    "Orange speaks for the class, blue against it; each column has one scale for all frames, given "
    "below it (99 % quantile of magnitudes, stronger values look the same; * set by the model).\n"
    "del, ins: area under the probability while patches are deleted or inserted in the order of "
    "the map, in brackets the mean of random orders; a faithful map has a low del and a high ins.\n"
    "sanity: rank correlation with the map of the same network with shuffled weights; near 1 the "
    "map shows the frame, not what was learned.  compl.: completeness error of integrated "
    "gradients.\n"
    "! : not better than every random order, sanity 0.5 or more, completeness error above 5 %, or "
    "a check that could not be made. Not a medical device."
)


def draw_sheet(
    rows: Sequence[Row],
    origin: Origin,
    path: Path,
    scales: Mapping[str, float] | None = None,
    dpi: int = 200,
) -> None:
    """Draw frames and their maps with both checks as one picture.

    Parameters
    ----------
    rows : one to five frames with the same methods, each with its checks
    path : PNG file
    scales : fixed scale by method where there is one, such as the model's `cam_scale`; the others
        are taken from the rows

    Raises
    ------
    ValueError
        If there are no rows, too many, or they differ in their methods.
    StorageError
        If the file cannot be written.
    """
    methods = tuple(rows[0].attributions) if rows else ()
    if not methods or len(rows) > MOST_ROWS or any(tuple(r.attributions) != methods for r in rows):
        raise ValueError(f"{len(rows)} rows; expected 1 to {MOST_ROWS} with the same methods")
    fixed = dict(scales or {})
    found = {m: fixed.get(m) or find_scale(r.attributions[m] for r in rows) for m in methods}
    grid = _plan_grid(len(rows), len(methods) + 1)
    with open_plain(path, PAGE_WH, dpi) as figure:
        _write_head(figure, origin)
        for place, row in enumerate(rows, 1):
            _draw_row(figure, row, found, grid, TOP - place * (grid.side + NOTES) + NOTES)
        for place, name in enumerate(methods, 1):
            left, bottom = MARGIN + place * grid.pitch, TOP - len(rows) * (grid.side + NOTES)
            _text(figure, left, TOP + 0.06, name, va="bottom", weight="bold", fontsize=7.0)
            axes = _axes(figure, left, bottom - 0.12, grid.side, 0.1)
            draw_scale(axes, found[name], rows[0].attributions[name].signed)
            axes.set_xlabel("fixed*" if name in fixed else "", fontsize=5.5, labelpad=0)


class Grid(NamedTuple):
    """Distance between the left ends of two cells, and side of the pictures, inches."""

    pitch: float
    side: float


def _plan_grid(rows: int, columns: int) -> Grid:
    width, height = PAGE_WH
    pitch = min((width - 2 * MARGIN + GAP) / columns, WIDEST)
    return Grid(pitch, min(pitch - GAP, (height - HEAD - FOOT) / rows - NOTES))


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    page_w, page_h = PAGE_WH
    axes = figure.add_axes((left / page_w, bottom / page_h, width / page_w, height / page_h))
    for edge in axes.spines.values():
        edge.set_linewidth(0.4)
    return axes


def _text(figure: Figure, left: float, top: float, text: str, **style: object) -> None:
    style = {"fontsize": SMALL, "ha": "left", "va": "top"} | style
    place = left / PAGE_WH[0], top / PAGE_WH[1]
    figure.text(*place, "\n".join(map(drawable, text.split("\n"))), **style)


def _write_head(figure: Figure, origin: Origin) -> None:
    top = PAGE_WH[1] - 0.2
    title = f"Attribution maps of {short(origin.model, 80)}"
    lines = textwrap.wrap(drawable(f"Data: {origin.data}. {origin.split}"), 150)
    _text(figure, MARGIN, top, title, fontsize=11, weight="bold")
    _text(figure, MARGIN, top - 0.22, "\n".join(lines[:2]), fontsize=7.5)
    _text(figure, MARGIN, FOOT - 0.4, LEGEND, fontsize=6.5, linespacing=1.35)


def _draw_row(
    figure: Figure, row: Row, scales: Mapping[str, float], grid: Grid, bottom: float
) -> None:
    show_picture(_axes(figure, MARGIN, bottom, grid.side, grid.side), row.frame)
    letters = round(grid.pitch * LETTERS)
    said = f"p({short(row.target, letters - 10)}) = {row.score:.3f}"
    lines = [said, *textwrap.wrap(drawable(row.caption), letters)]
    _text(figure, MARGIN, bottom - 0.04, "\n".join(lines[:4]))
    for column, (name, attribution) in enumerate(row.attributions.items(), 1):
        left = MARGIN + column * grid.pitch
        picture = paint(row.frame, attribution.map, scales[name])
        show_picture(_axes(figure, left, bottom, grid.side, grid.side), picture)
        for number, (note, good) in enumerate(describe(attribution, row.checks.get(name))):
            style = {} if good else {"color": ALARM, "weight": "bold"}
            line = note if good else f"{note} !"
            _text(figure, left, bottom - 0.04 - 0.105 * number, line, **style)


def describe(attribution: Attribution, checks: Checks | None) -> list[tuple[str, bool]]:
    """Return the lines below a map, each with whether it is as it should be."""
    if attribution.flat:
        return [("flat map: says nothing", False), *_describe_loss(attribution)]
    lines = []
    if checks is not None and checks.deletion is not None and checks.insertion is not None:
        chances = checks.random_deletions, checks.random_insertions
        means = [sum(values) / len(values) for values in chances]
        lines += [
            (f"del {checks.deletion:.3f} ({means[0]:.3f})", checks.deletes_well),
            (f"ins {checks.insertion:.3f} ({means[1]:.3f})", checks.inserts_well),
            ("sanity " + _number(checks.sanity), checks.depends_on_weights),
        ]
    if attribution.steps and attribution.saturation is None:
        error = attribution.completeness_error
        said = "unknown" if error is None else f"{error:.1%}"
        lines.append((f"compl. {said}", error is not None and error <= COMPLETE))
    return lines + _describe_loss(attribution)


def _describe_loss(attribution: Attribution) -> list[tuple[str, bool]]:
    return [(f"{attribution.lost} px not finite", False)] if attribution.lost else []


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
