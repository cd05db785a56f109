"""The samples of a training or test set: what each is, which group and fold it belongs to."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError
from train.table import Row, read_labels, read_table, refuse_unknown

_ONE_PERSON = re.compile(r"northumbria_0409_set\d+")


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame with its truth.

    Parameters
    ----------
    uri : path of a still, or a ``phantom:`` address
    index : frame number within the clip, 0 for a still
    label : class index
    group : person; frames of one group are never on both sides of a split
    fold : name of the part that it is tested in
    source : clip; frames of one source are averaged for the per-clip result
    """

    uri: str
    index: int
    label: int
    group: str
    fold: str
    source: str


def read_frames(path: Path, classes: Sequence[str]) -> list[Sample]:
    """Read a table of stills with the columns file and label, and if given patient, source, fold.

    Raises
    ------
    UsageError
        C01 to C03 as in `train.table`, C02 also for a label that is not a class.
    """
    rows = read_table(path)
    labels = read_labels(path.name, rows, classes)
    refuse_unknown(path.name, rows, labels, classes)
    return [
        as_sample(row, label) for row, label in zip(rows, labels, strict=True) if label is not None
    ]


def as_sample(row: Row, label: int) -> Sample:
    """Return the sample of one table row."""
    source = row.cells.get("source") or row.cells["file"]
    fold = row.cells.get("fold", "")
    return Sample(str(row.path), 0, label, group_of(row.cells), fold, source)


def group_of(cells: dict[str, str]) -> str:
    """Return the person that a row shows.

    Clips named ``northumbria_0409_setN`` are grouped by N whatever patient number they carry,
    since a set is probably one person. Otherwise the group is the column ``patient`` or
    ``group``, else the source clip, else the file.
    """
    source = cells.get("source") or cells["file"]
    if found := _ONE_PERSON.search(source):
        return found[0]
    return cells.get("patient") or cells.get("group") or source


def training_part(samples: Sequence[Sample], test_fold: str) -> list[Sample]:
    """Return what may be trained on when `test_fold` is tested.

    The tested part is the published fold as it is. Everything of other folds whose group has a
    frame in the tested fold is left out, so nobody is on both sides although five patients occur
    in several published folds.
    """
    tested = {sample.group for sample in samples if sample.fold == test_fold}
    return [s for s in samples if s.fold != test_fold and s.group not in tested]


def check_folds(name: str, samples: Sequence[Sample], classes: Sequence[str]) -> list[str]:
    """Return the folds in order, or refuse data that cannot be cross-validated.

    Raises
    ------
    UsageError
        C05 with the counts when there are fewer than two folds, or a training part lacks a class.
    """
    folds = sorted({sample.fold for sample in samples})
    counts = Counter((s.fold, classes[s.label]) for s in samples)
    table = ", ".join(f"fold {fold} {label} {n}" for (fold, label), n in sorted(counts.items()))
    if len(folds) < 2 or "" in folds:
        raise UsageError(
            name,
            f"folds {folds}: {table}",
            "expected a column fold with two or more values",
            fault="C05",
        )
    for fold in folds:
        missing = set(range(len(classes))) - {s.label for s in training_part(samples, fold)}
        if missing:
            names = ", ".join(classes[i] for i in sorted(missing))
            raise UsageError(
                name,
                f"without fold {fold} nothing is left of {names}: {table}",
                "add data",
                fault="C05",
            )
    return folds


def list_digest(samples: Sequence[Sample]) -> str:
    """Return the sha256 of the sorted list of samples, without the folder they lie in."""
    lines = sorted(
        f"{s.source}\t{Path(s.uri).name}\t{s.index}\t{s.label}\t{s.group}" for s in samples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
