"""The samples of a training or test set: what each is, which group and fold it belongs to."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stream.errors import UsageError
from stream.sources.discover import CLIP_SUFFIXES, STILL_SUFFIXES
from stream.sources.open import open_source
from stream.sources.regular import digest_file, open_regular
from train.data.layout import PLAIN, Layout, read_rows
from train.data.table import Row, read_labels, refuse_unknown

_ONE_PERSON = re.compile(r"northumbria_0409_set\d+")


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame with its truth.

    Parameters
    ----------
    uri : path of a still or clip, or a ``phantom:`` address
    index : frame number within the clip, 0 for a still
    label : class index
    group : person; frames of one group are never on both sides of a split
    fold : name of the part that it is tested in
    source : clip; frames of one source are averaged for the per-clip result
    region : part of the body in small letters, empty when unknown
    """

    uri: str
    index: int
    label: int
    group: str
    fold: str
    source: str
    region: str = ""

    @property
    def is_still(self) -> bool:
        """Whether it is a file of its own."""
        return Path(self.uri).suffix.lower() in STILL_SUFFIXES


def read_frames(place: Path, classes: Sequence[str], layout: Layout = PLAIN) -> list[Sample]:
    """Read labelled stills and clips from a table or folder.

    A clip becomes `layout.frames_per_clip` evenly spaced samples, or fewer when it is shorter.

    Raises
    ------
    UsageError
        C01 to C03 as in `train.data.layout`, C02 also for a label that is not a class, C05 with the
        counts when all samples are of one class.
    SourceError
        If a clip cannot be decoded.
    """
    rows = read_rows(place, layout)
    labels = read_labels(place.name, rows, classes)
    refuse_unknown(place.name, rows, labels, classes)
    samples = [
        sample
        for row, label in zip(rows, labels, strict=True)
        if label is not None
        for sample in frames_of(as_sample(row, label), layout.frames_per_clip)
    ]
    if len({sample.label for sample in samples}) < 2:
        remedy = "expected samples of two classes or more"
        raise UsageError(place.name, count_table(samples, classes), remedy, fault="C05")
    return samples


def as_sample(row: Row, label: int) -> Sample:
    """Return the sample of one table row; its first frame when the row is a clip."""
    cells = row.cells
    source = cells.get("source") or cells["file"]
    fold = cells.get("fold") or cells.get("split", "")
    region = cells.get("region", "").lower()
    return Sample(str(row.path), 0, label, group_of(cells), fold, source, region)


def frames_of(sample: Sample, count: int) -> list[Sample]:
    """Return a still as it is, and of a clip at most `count` evenly spaced samples.

    Raises
    ------
    SourceError
        If a clip cannot be decoded.
    """
    if Path(sample.uri).suffix.lower() not in CLIP_SUFFIXES:
        return [sample]
    with open_source(sample.uri, session="count") as source:
        usable = [place for place, frame in enumerate(source) if frame.damage is None]
    chosen = np.linspace(0, len(usable) - 1, count + 2).round().astype(int)[1:-1].tolist()
    return [replace(sample, index=usable[place]) for place in sorted(set(chosen))]


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
    table = count_table(samples, classes)
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


def count_table(samples: Sequence[Sample], classes: Sequence[str]) -> str:
    """Return the number of samples of each class in each fold, in words."""
    counts = Counter((s.fold, classes[s.label]) for s in samples)
    told = [
        f"fold {fold} {label} {n}" if fold else f"{label} {n}"
        for (fold, label), n in sorted(counts.items())
    ]
    return ", ".join(told) or "no samples"


def list_lines(samples: Sequence[Sample]) -> list[str]:
    """Return one line per sample, sorted, without the folder that they lie in.

    A line is source, name, index, label and group, divided by tabs; a still's line ends with the
    sha256 of its bytes.

    Raises
    ------
    SourceError
        If a still cannot be read.
    """
    return sorted(map(list_line, samples))


def list_line(sample: Sample) -> str:
    """Return the line of one sample in `list_lines`."""
    name = Path(sample.uri).name
    line = f"{sample.source}\t{name}\t{sample.index}\t{sample.label}\t{sample.group}"
    return f"{line}\t{digest_of(sample.uri)}" if sample.is_still else line


def list_digest(samples: Sequence[Sample]) -> str:
    """Return the sha256 of the lines of the samples, joined by line ends."""
    return hashlib.sha256("\n".join(list_lines(samples)).encode()).hexdigest()


def digest_of(uri: str) -> str:
    """Return the sha256 of a file's bytes in hexadecimal."""
    with open_regular(uri) as file:
        return digest_file(file)


def regroup(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]]) -> list[Sample]:
    """Join the groups of samples that share a group, a source or a near copy, however indirectly.

    Parameters
    ----------
    pairs : places in `samples` of two samples that show the same

    Returns
    -------
    the samples; a joined group has the name of its smallest member
    """
    above: dict[str, str] = {}

    def top(group: str) -> str:
        while (higher := above.setdefault(group, group)) != group:
            above[group] = group = above[higher]
        return group

    first_of: dict[str, str] = {}
    links = [(s.group, first_of.setdefault(s.source, s.group)) for s in samples]
    links += [(samples[a].group, samples[b].group) for a, b in pairs]
    for one, other in links:
        low, high = sorted((top(one), top(other)))
        above[high] = low
    return [replace(sample, group=top(sample.group)) for sample in samples]
