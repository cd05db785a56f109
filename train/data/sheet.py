"""Reads the first sheet of an Excel workbook as rows of text; imports openpyxl when it runs."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from stream.errors import UsageError

MAX_UNPACKED_BYTES = 512 << 20
MAX_LINES, MAX_COLUMNS = 200_000, 64

_BROKEN = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    ET.ParseError,
)


def read_sheet(path: Path) -> list[tuple[int, list[str]]]:
    """Return line number and cells of every line that is not blank.

    Values are read, not formulas. Cells to the right of the last column with a heading are left
    out, as are columns after the 64th.

    Raises
    ------
    UsageError
        C01 when it is no workbook, or is too large.
    """
    try:
        import openpyxl
    except ImportError as error:
        problem = "reading it needs openpyxl"
        raise UsageError(path.name, problem, "pip install openpyxl", fault="C01") from error
    try:
        _check_unpacked(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and validation, which are not used
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                sheet = book.worksheets[0]
                sheet.reset_dimensions()  # what the file says of its size is not trusted
                lines = sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True)
                return list(_under_headings(path.name, lines))
            finally:
                book.close()
    except _BROKEN as error:
        problem = f"not an Excel workbook ({error})"
        raise UsageError(path.name, problem, "save it as .xlsx or .csv", fault="C01") from error


def _check_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED_BYTES:
        problem = f"{size >> 20} MiB unpacked, at most {MAX_UNPACKED_BYTES >> 20} are read"
        raise UsageError(path.name, problem, "save the table as .csv", fault="C01")


def _under_headings(name: str, lines: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, list[str]]]:
    width = 0
    for line, values in enumerate(lines, 1):
        if line > MAX_LINES:
            problem = f"the sheet goes beyond line {MAX_LINES}"
            raise UsageError(name, problem, "delete what stands below the table", fault="C01")
        cells = [_written(value) for value in values]
        width = width or max((place + 1 for place, cell in enumerate(cells) if cell), default=0)
        if any(cells[:width]):
            yield line, cells[:width]


def _written(value: object) -> str:
    """Return a cell as a person would write it: 1, not 1.0."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
