"""Labelled test sets in whatever form they come: tables, folders by class, phantom addresses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engines.pixels import Pixels
from stream.errors import SourceError, UsageError
from stream.sources.discover import CLIP_SUFFIXES, PHANTOM, STILL_SUFFIXES, natural_key
from stream.sources.open import open_source
from stream.sources.phantom import PhantomScene, parse_phantom
from train.data import as_sample
from train.loader import read_still
from train.table import read_labels, read_table, refuse_unknown


@dataclass(frozen=True, slots=True)
class Item:
    """A still or a clip with one label.

    Parameters
    ----------
    uri : path, or phantom address
    label : class index; None for a phantom, whose mask labels each frame
    group : person
    source : clip that its frames count for
    """

    uri: str
    label: int | None
    group: str
    source: str


class Truth(NamedTuple):
    """What one frame shows: class index, person, clip."""

    label: int
    group: str
    source: str


def read_items(
    data: Sequence[str], classes: Sequence[str], ignore_unknown: bool
) -> tuple[list[Item], list[str]]:
    """Return the items of all test sets, and the labels of what was ignored.

    Raises
    ------
    UsageError
        C01 to C03 as in `train.table`; C05 when nothing is left.
    """
    items: list[Item] = []
    ignored: list[str] = []
    for entry in data:
        if entry.startswith(PHANTOM):
            items.append(_phantom_item(entry, classes))
            continue
        read = _read_folder if Path(entry).is_dir() else _read_csv
        found, unknown = read(Path(entry), classes, ignore_unknown)
        items += found
        ignored += unknown
    if not items:
        raise UsageError(
            ", ".join(data), "nothing to measure", f"classes are {', '.join(classes)}", fault="C05"
        )
    return items, ignored


def read_pictures(
    items: Iterable[Item], classes: Sequence[str], problems: list[str]
) -> Iterator[tuple[Truth, Pixels]]:
    """Yield every usable frame with its truth; `problems` grows by what could not be used."""
    for item in items:
        try:
            yield from _pictures(item, classes, problems)
        except SourceError as error:
            problems.append(str(error))


def _pictures(
    item: Item, classes: Sequence[str], problems: list[str]
) -> Iterator[tuple[Truth, Pixels]]:
    if item.label is None:
        yield from _phantom_pictures(item, classes)
        return
    truth = Truth(item.label, item.group, item.source)
    if Path(item.uri).suffix.lower() in STILL_SUFFIXES:
        yield truth, read_still(Path(item.uri))
        return
    with open_source(item.uri, session="evaluate") as source:
        yield from ((truth, frame.pixels) for frame in source if frame.damage is None)
        problems += [f"{source.info.name}: {problem.text}" for problem in source.problems]


def _phantom_pictures(item: Item, classes: Sequence[str]) -> Iterator[tuple[Truth, Pixels]]:
    spec = parse_phantom(item.uri)
    scene = PhantomScene(spec)
    for index in range(spec.frame_count):
        image, mask = scene.frame(index)
        label = classes.index(spec.finding) if mask.any() else 0
        yield Truth(label, item.group, f"{item.source} {classes[label]}"), Pixels((image,))


def _phantom_item(uri: str, classes: Sequence[str]) -> Item:
    spec = parse_phantom(uri)
    if spec.finding not in classes:
        raise UsageError(
            uri, f"finding {spec.finding!r}", f"classes are {', '.join(classes)}", fault="C02"
        )
    return Item(spec.uri, None, f"seed {spec.seed}", spec.uri)


def _read_csv(
    path: Path, classes: Sequence[str], ignore_unknown: bool
) -> tuple[list[Item], list[str]]:
    rows = read_table(path)
    labels = read_labels(path.name, rows, classes)
    if not ignore_unknown:
        refuse_unknown(path.name, rows, labels, classes)
    items, ignored = [], []
    for row, label in zip(rows, labels, strict=True):
        if label is None:
            ignored.append(row.cells["label"].strip() or "no label")
            continue
        sample = as_sample(row, label)
        items.append(Item(sample.uri, label, sample.group, sample.source))
    return items, ignored


def _read_folder(
    root: Path, classes: Sequence[str], ignore_unknown: bool
) -> tuple[list[Item], list[str]]:
    folders = sorted(
        path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    unknown = [folder.name for folder in folders if folder.name not in classes]
    if unknown and not ignore_unknown:
        raise UsageError(
            str(root),
            f"folders {', '.join(unknown)}",
            f"name sub-folders {', '.join(classes)}",
            fault="C02",
        )
    known = [folder for folder in folders if folder.name in classes]
    items = [item for folder in known for item in _below(folder, classes.index(folder.name))]
    return items, [name for name in unknown for _ in _below(root / name, 0)]


def _below(folder: Path, label: int) -> Iterator[Item]:
    """Yield clips and stills; stills in a folder of their own below `folder` are one clip."""
    for place, names, files in os.walk(folder):
        names.sort(key=natural_key)
        for name in sorted(files, key=natural_key):
            path, suffix = Path(place) / name, Path(name).suffix.lower()
            if suffix in STILL_SUFFIXES | CLIP_SUFFIXES and not name.startswith("."):
                shared = suffix in STILL_SUFFIXES and Path(place) != folder
                source = str(place) if shared else str(path)
                yield Item(str(path), label, source, source)
