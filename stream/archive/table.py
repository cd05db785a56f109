"""The summary table as CSV, Excel sheet and page, the same rows in the same order.

Nothing in it is a time of the run, so that the same recordings give the same bytes of CSV and page
whoever analysed them.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jinja2

from stream.archive.eyes import Entry, Need, Ranked
from stream.archive.records import SESSIONS
from stream.archive.rows import Row
from stream.report import wording
from stream.report.cells import guard_cell
from stream.report.files import write_whole

COLUMNS = (
    "rank",
    "why",
    "path",
    "verdict",
    "share",
    "best_score",
    "highest_probability",
    "frames",
    "valid_frames",
    "duration_s",
    "problems",
    "session",
    "report",
    "state",
    "sha256",
)
_WIDTHS = (6, 48, 44, 12, 8, 11, 11, 9, 9, 11, 48, 36, 12, 11, 20)
Cell = str | int | float | None
GROUPS = {
    Need.FAILED: "failed",
    Need.UNUSABLE: "unusable",
    Need.PARTIAL: "partial",
    Need.UNCERTAIN: "uncertain",
    Need.CLOSE: "close calls",
    Need.FINDING: "with the finding",
    Need.NOTHING: "without the finding",
    Need.WAITING: "not analysed yet",
    Need.GONE: "removed",
}


def entry_of(row: Row) -> Entry:
    """Return a row of the work list as the table has it."""
    return Entry(
        path=wording.printable(os.fsdecode(row.recording.path)),
        state=row.state,
        fault=row.fault,
        text=wording.printable(row.text),
        removed=row.removed,
        session=row.session,
        sha256=row.sha256,
        facts=row.facts,
    )


def write_tables(out: Path, ranked: Sequence[Ranked], *, report: bool) -> tuple[Path, ...]:
    """Write ``table.csv``, ``table.xlsx`` and ``table.html``, each whole or not at all.

    Parameters
    ----------
    out : folder of the archive; links are relative to it
    report : sessions have a report to link to

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    rows = [build_cells(line, report=report) for line in ranked]
    return (
        write_whole(out / "table.csv", encode_csv(rows)),
        write_whole(out / "table.xlsx", encode_excel(rows)),
        write_whole(out / "table.html", encode_page(ranked, rows)),
    )


def build_cells(line: Ranked, *, report: bool) -> dict[str, Cell]:
    """Return one row of the table by column; None where there is nothing to say."""
    entry, facts = line.entry, line.entry.facts
    cells: dict[str, Cell] = dict.fromkeys(COLUMNS)
    cells |= {"rank": line.rank, "why": line.why, "path": entry.path}
    cells |= {"state": entry.state, "sha256": entry.sha256 or None}
    if facts is None:
        return cells
    session = f"{SESSIONS}/{entry.session}"
    return cells | {
        "verdict": facts.label,
        "share": round(facts.share, 4),
        "best_score": _rounded(facts.best_score, 4),
        "highest_probability": _rounded(facts.peak, 4),
        "frames": facts.frames,
        "valid_frames": facts.valid,
        "duration_s": _rounded(facts.duration_s, 3),
        "problems": wording.printable("; ".join(facts.problems)) or None,
        "session": session,
        "report": f"{session}/report/index.html" if report else None,
    }


def encode_csv(rows: Sequence[dict[str, Cell]]) -> bytes:
    r"""Write the rows as UTF-8 with a heading; lines end with ``\n``.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_guarded(row[column]) for column in COLUMNS])
    return text.getvalue().encode()


def encode_excel(rows: Sequence[dict[str, Cell]]) -> bytes:
    """Write the rows as a sheet; every text is text, never a formula, and reports are linked."""
    from openpyxl import Workbook  # type: ignore[import-untyped]
    from openpyxl.styles import Font  # type: ignore[import-untyped]
    from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "archive"
    sheet.append(list(COLUMNS))
    for number, width in enumerate(_WIDTHS, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
        sheet.cell(1, number).font = Font(bold=True)
    for line, row in enumerate(rows, 2):
        for number, column in enumerate(COLUMNS, 1):
            value, cell = row[column], sheet.cell(line, number)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"
            if column == "report" and value:
                cell.value, cell.hyperlink, cell.style = "report", str(value), "Hyperlink"
    sheet.freeze_panes = "D2"
    sheet.auto_filter.ref = sheet.dimensions
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def encode_page(ranked: Sequence[Ranked], rows: Sequence[dict[str, Cell]]) -> bytes:
    """Render the page: no script, no network, no other file; the same rows, the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stream.archive"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = environment.get_template("table.css").render()
    counts = Counter(line.need for line in ranked)
    page = environment.get_template("table.html").render(
        css=css,
        style_digest=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        lines=list(zip(ranked, rows, strict=True)),
        counts=[(need.name.lower(), GROUPS[need], counts[need]) for need in Need if counts[need]],
        not_a_device=wording.NOT_A_DEVICE,
    )
    return page.encode()


def _guarded(value: Cell) -> Cell:
    return guard_cell(value) if isinstance(value, str) else value


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
