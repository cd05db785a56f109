"""Reads a labelled table: tolerant about how it was written, strict about what it says."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Parameters
    ----------
    line : line number in the file, counted from 1
    path : the file it names, inside the table's folder
    cells : every column by name
    """

    line: int
    path: Path
    cells: dict[str, str]


def read_table(path: Path) -> list[Row]:
    """Read a CSV file with at least the columns ``file`` and ``label``.

    UTF-8 with or without mark, else Latin-1; comma, semicolon or tab; blank lines are skipped.

    Raises
    ------
    UsageError
        C01 when it cannot be read without guessing, C03 when a file is absent or lies outside
        the table's folder.
    """
    if not path.is_file():
        raise UsageError(
            str(path), "no such table", "give a CSV file with columns file,label", fault="C01"
        )
    lines = _decode(path.read_bytes())
    cells = _parse(path.name, lines)
    root = path.parent.resolve()
    problems, rows = [], []
    for line, row in cells:
        target, wrong = _inside(root, row["file"])
        problems += [f"line {line}: {row['file']!r} {wrong}"] if wrong else []
        rows.append(Row(line, target, row))
    refuse(path.name, problems, "paths are relative to the table and stay below it", "C03")
    return rows


def read_labels(name: str, rows: Sequence[Row], classes: Sequence[str]) -> list[int | None]:
    """Return the class index of each row, None where the label is not a class.

    Raises
    ------
    UsageError
        C02 when one file carries two labels.
    """
    seen: dict[Path, str] = {}
    twice = []
    for row in rows:
        label = row.cells["label"].strip()
        if seen.setdefault(row.path, label) != label:
            twice.append(
                f"line {row.line}: {row.cells['file']!r} is {label!r} and {seen[row.path]!r}"
            )
    refuse(name, twice, "give each file one label", "C02")
    index = {label: place for place, label in enumerate(classes)}
    return [index.get(row.cells["label"].strip()) for row in rows]


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
            problems.append(
                f"line {row.line}: {word!r}{hint}" if word else f"line {row.line}: no label"
            )
    refuse(name, problems, f"classes are {', '.join(classes)}", "C02")


def refuse(name: str, problems: Sequence[str], remedy: str, fault: str) -> None:
    """Raise one `UsageError` that lists all problems, the first 20 in full."""
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UsageError(name, "; ".join(problems[:SHOWN]) + more, remedy, fault=fault)


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _parse(name: str, text: str) -> list[tuple[int, dict[str, str]]]:
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    numbered = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    columns = [cell.strip().lower() for cell in numbered[0][1]] if numbered else []
    if "file" not in columns or "label" not in columns:
        raise UsageError(
            name, f"line 1: columns {columns}", "expected file,label in a header line", fault="C01"
        )
    wrong = [
        f"line {line}: {len(cells)} cells"
        for line, cells in numbered[1:]
        if len(cells) != len(columns)
    ]
    refuse(name, wrong, f"expected {len(columns)} cells as in the header", "C01")
    if not numbered[1:]:
        raise UsageError(name, "no rows after the header", "expected one row per file", fault="C05")
    return [(line, dict(zip(columns, cells, strict=True))) for line, cells in numbered[1:]]


def _inside(root: Path, file: str) -> tuple[Path, str]:
    """Return the resolved path and what is wrong with it, or an empty text."""
    stated = Path(file)
    if stated.is_absolute() or ".." in stated.parts:
        return stated, "is absolute or climbs with dots"
    target = (root / stated).resolve()
    if not target.is_relative_to(root):
        return target, "is a link out of the folder"
    return target, "" if target.is_file() else "is absent"
