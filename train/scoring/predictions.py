"""Tables of predictions as CSV and as Excel workbook, harmless to open."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")
Rows = Sequence[Sequence[str | int | float]]


def encode_csv(rows: Rows) -> bytes:
    """Return rows as CSV; a text that a spreadsheet would take for a formula gets a quote."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(
        ["'" + cell if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in row]
        for row in rows
    )
    return text.getvalue().encode("utf-8", "replace")


def encode_sheet(rows: Rows) -> bytes:
    """Return rows as an Excel workbook; texts stay texts, what Excel cannot hold becomes "?"."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("predictions")
    for row in rows:
        cells = []
        for value in row:
            clean = ILLEGAL_CHARACTERS_RE.sub("?", value) if isinstance(value, str) else value
            cell = WriteOnlyCell(sheet, clean)
            cell.data_type = "s" if isinstance(value, str) else "n"
            cells.append(cell)
        sheet.append(cells)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()
