"""Whether columns and folders say the same as the label, or its opposite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

import msgspec

from train.data.table import Row

SHOWN = 5
HEALTHY = frozenset(("healthy", "normal", "negative", "control", "regular", "nuf"))
ILL = frozenset(("unhealthy", "abnormal", "positive", "pathological", "disease", "diseased", "uf"))
FLAGS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


class Polarity(msgspec.Struct, frozen=True):
    """How often something besides the label says the same as the label.

    Parameters
    ----------
    where : column, or "folders"
    rule : what was compared, in words
    agree, contradict : rows
    examples : the first five contradictions
    """

    where: str
    rule: str
    agree: int
    contradict: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        told = f"{self.rule}: {self.agree} rows agree, {self.contradict} contradict"
        if self.contradict > self.agree:
            told += "; its sense is reversed"
        return told + (f" ({', '.join(self.examples)})" if self.examples else "")


def compare_senses(rows: Sequence[Row], root: Path) -> list[Polarity]:
    """Compare the label with every 0/1 column named like a class or a state, and with folders.

    Parameters
    ----------
    root : folder that files are named from
    """
    classes = {row.cells["label"].strip().casefold() for row in rows}
    columns = sorted({column for row in rows for column in row.cells} - {"file", "label"})
    found = []
    for column in columns:
        if column in classes | HEALTHY | ILL and all(
            _flag(row, column) is not None for row in rows
        ):
            rule = f"column {column} is 1 where the label is {column}"
            found.append(_count(column, rule, rows, _by_column(column, classes)))
    folders = _count("folders", "a folder is named like the label", rows, _by_folder(root, classes))
    return [one for one in [*found, folders] if one.agree + one.contradict]


def _count(
    where: str, rule: str, rows: Sequence[Row], agrees: Callable[[Row], bool | None]
) -> Polarity:
    verdicts = [(row, agrees(row)) for row in rows]
    against = [
        f"{row.where}: {row.cells['label']}" for row, verdict in verdicts if verdict is False
    ]
    agree = sum(verdict is True for _, verdict in verdicts)
    return Polarity(where, rule, agree, len(against), tuple(against[:SHOWN]))


def _flag(row: Row, column: str) -> bool | None:
    return FLAGS.get(row.cells.get(column, "").strip().casefold())


def _by_column(column: str, classes: set[str]) -> Callable[[Row], bool | None]:
    def agrees(row: Row) -> bool | None:
        label, flag = row.cells["label"].strip().casefold(), _flag(row, column)
        same = _same(column, label, classes)
        return None if same is None else flag == same

    return agrees


def _by_folder(root: Path, classes: set[str]) -> Callable[[Row], bool | None]:
    def agrees(row: Row) -> bool | None:
        label = row.cells["label"].strip().casefold()
        named = [part for part in _folders(row, root) if part in classes | HEALTHY | ILL]
        verdicts = [_same(part, label, classes) for part in named]
        known = [verdict for verdict in verdicts if verdict is not None]
        return all(known) if known else None

    return agrees


def _folders(row: Row, root: Path) -> Iterator[str]:
    inside = PurePath(row.path).relative_to(root) if row.path.is_relative_to(root) else row.path
    for part in inside.parent.parts:
        yield part.casefold()
        yield part.casefold().rpartition("_")[2]  # study1_positive


def _same(word: str, label: str, classes: set[str]) -> bool | None:
    """Say whether a word means the same as a label; None where that is not known."""
    if word == label or word in classes:
        return word == label
    senses = [1 if name in HEALTHY else -1 if name in ILL else 0 for name in (word, label)]
    return None if 0 in senses else senses[0] == senses[1]
