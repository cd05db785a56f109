"""Reads a labelled table: tolerant about how it was written, strict about what it says."""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError
from train.data.sheet import read_sheet

SHOWN = 20
MAX_BYTES = 64 << 20
TABLE_SUFFIXES = frozenset((".csv", ".xlsx"))
PICTURES = "images"

Numbered = list[tuple[int, list[str]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled file.

    Parameters
    ----------
    line : line number in the table, counted from 1; 0 where a folder takes the table's place
    path : the file, inside the folder of the table
    cells : every column by its name in small letters; always ``file`` and ``label``
    """

    line: int
    path: Path
    cells: dict[str, str]

    @property
    def where(self) -> str:
        """Where it was read: the line, or the file when there are no lines."""
        return f"line {self.line}" if self.line else self.cells["file"]


def read_table(path: Path, file_column: str = "file", label_column: str = "label") -> list[Row]:
    """Read a CSV or Excel table with a column of files and one of labels.

    A CSV file is UTF-8 with or without mark, UTF-16 with mark, else Latin-1, and separated by
    comma, semicolon or tab. Names of columns are compared without case; where a stated name is
    absent, ``file`` and ``label`` count. Blank lines are skipped. A file is looked up from the
    folder of the table and, where it is absent there, from the folder ``images`` below it.

    Raises
    ------
    UsageError
        C01 when it cannot be read without guessing, C03 when a file is absent or lies outside
        the table's folder, C05 when it has no rows.
    """
    numbered = _numbered(path)
    cells = _named(path.name, numbered, (file_column.casefold(), label_column.casefold()))
    root = path.parent.resolve()
    problems, rows = [], []
    for line, row in cells:
        target, wrong = _inside(root, row["file"])
        problems += [f"line {line}: {row['file']!r} {wrong}"] if wrong else []
        rows.append(Row(line, target, row))
    refuse(path.name, problems, "paths are relative to the table and stay below it", "C03")
    return rows


def has_columns(path: Path, file_column: str, label_column: str) -> bool:
    """Say whether the first line of a table names the two columns."""
    columns = _columns(_numbered(path))
    return all(
        {stated.casefold(), plain} & set(columns)
        for stated, plain in ((file_column, "file"), (label_column, "label"))
    )


def read_labels(name: str, rows: Sequence[Row], classes: Sequence[str]) -> list[int | None]:
    """Return the class index of each row, None where the label is not a class.

    Case counts only where two classes differ in nothing else.

    Raises
    ------
    UsageError
        C02 when one file carries two labels.
    """
    seen: dict[Path, str] = {}
    twice = []
    for row in rows:
        label = row.cells["label"].strip()
        if seen.setdefault(row.path, label).casefold() != label.casefold():
            twice.append(f"{row.where}: {row.cells['file']!r} is {label!r} and {seen[row.path]!r}")
    refuse(name, twice, "give each file one label", "C02")
    shared = Counter(name.casefold() for name in classes)
    index = {n.casefold(): i for i, n in enumerate(classes) if shared[n.casefold()] == 1}
    index |= {label: place for place, label in enumerate(classes)}
    labels = [row.cells["label"].strip() for row in rows]
    return [index.get(label, index.get(label.casefold())) for label in labels]


def refuse_unknown(
    name: str, rows: Sequence[Row], labels: Sequence[int | None], classes: Sequence[str]
) -> None:
    """Refuse labels that are not classes, each with its line and the nearest class (C02)."""
    problems = []
    for row, label in zip(rows, labels, strict=True):
        if label is None:
            word = row.cells["label"].strip()
            near = difflib.get_close_matches(word, classes, 1)
            hint = f", nearest {near[0]!r}" if near else ""
            problems.append(f"{row.where}: {word!r}{hint}" if word else f"{row.where}: no label")
    refuse(name, problems, f"classes are {', '.join(classes)}", "C02")


def refuse(name: str, problems: Sequence[str], remedy: str, fault: str) -> None:
    """Raise one `UsageError` that lists all problems, the first 20 in full."""
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UsageError(name, "; ".join(problems[:SHOWN]) + more, remedy, fault=fault)


def _numbered(path: Path) -> Numbered:
    """Return line number and cells of every line that is not blank."""
    if not path.is_file():
        remedy = "give a .csv or .xlsx table with columns file,label"
        raise UsageError(str(path), "no such table", remedy, fault="C01")
    if path.stat().st_size > MAX_BYTES:
        problem = f"{path.stat().st_size >> 20} MiB, at most {MAX_BYTES >> 20} are read"
        raise UsageError(path.name, problem, "split the table", fault="C01")
    if path.suffix.lower() == ".xlsx":
        return read_sheet(path)
    text = _decode(path.name, path.read_bytes())
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        problem = f"line {reader.line_num}: {error}"
        raise UsageError(path.name, problem, "write it as CSV again", fault="C01") from error


def _decode(name: str, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data:
        problem = "holds zero bytes, so it is no text"
        raise UsageError(name, problem, "give a .csv or .xlsx table", fault="C01")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _columns(numbered: Numbered) -> list[str]:
    return [cell.strip().casefold() for cell in numbered[0][1]] if numbered else []


def _named(
    name: str, numbered: Numbered, stated: tuple[str, str]
) -> list[tuple[int, dict[str, str]]]:
    columns = _columns(numbered)
    file, label = (
        wish if wish in columns else plain
        for wish, plain in zip(stated, ("file", "label"), strict=True)
    )
    if file not in columns or label not in columns:
        problem = f"line {numbered[0][0] if numbered else 1}: columns {columns}"
        remedy = f"expected {stated[0]},{stated[1]} in a header line"
        raise UsageError(name, problem, remedy, fault="C01")
    twice = [repr(column) for column, times in Counter(columns).items() if column and times > 1]
    refuse(name, twice, "name each column once", "C01")
    rows = numbered[1:]
    wrong = [
        f"line {line}: {len(cells)} cells" for line, cells in rows if len(cells) != len(columns)
    ]
    refuse(name, wrong, f"expected {len(columns)} cells as in the header", "C01")
    if not rows:
        raise UsageError(name, "no rows after the header", "expected one row per file", fault="C05")
    named = ((line, dict(zip(columns, cells, strict=True))) for line, cells in rows)
    return [(line, row | {"file": row[file], "label": row[label]}) for line, row in named]


def _inside(root: Path, file: str) -> tuple[Path, str]:
    """Return the resolved path and what is wrong with it, or an empty text."""
    stated = Path(file.strip())
    if stated.is_absolute() or ".." in stated.parts:
        return stated, "is absolute or climbs with dots"
    try:
        target = (root / stated).resolve()
        if not target.is_file() and target.is_relative_to(root):
            below = (root / PICTURES / stated).resolve()
            target = below if below.is_file() else target
        absent = not target.is_file()
    except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links
        return stated, "cannot be looked up"
    if not target.is_relative_to(root):
        return target, "is a link out of the folder"
    return target, "is absent" if absent else ""
