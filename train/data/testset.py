"""Labelled test sets in whatever form they come: tables, folders by class, phantom addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines.pixels import Pixels
from stream.errors import SourceError, UsageError
from stream.sources.discover import PHANTOM, STILL_SUFFIXES
from stream.sources.open import open_source
from stream.sources.phantom import PhantomScene, parse_phantom
from train.data.layout import PLAIN, Layout, read_rows
from train.data.loader import read_still
from train.data.samples import as_sample, digest_of
from train.data.table import read_labels, refuse, refuse_unknown


@dataclass(frozen=True, slots=True)
class Item:
    """A still or a clip with one label.

    Parameters
    ----------
    uri : path, or phantom address
    label : class index; None for a phantom, whose mask labels each frame
    group : person
    source : clip that its frames count for
    place : folder that clips and people are named in, empty for phantoms
    """

    uri: str
    label: int | None
    group: str
    source: str
    place: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Truth:
    """What one frame is and shows.

    Parameters
    ----------
    source, name, index : clip, file and place in the file
    group : person
    label : class index
    digest : sha256 of a still's bytes, empty for frames of clips
    place : folder that clips and people are named in, empty for phantoms
    """

    source: str
    name: str
    index: int
    group: str
    label: int
    digest: str = ""
    place: str = ""


def read_items(
    data: Sequence[str], classes: Sequence[str], ignore_unknown: bool, layout: Layout = PLAIN
) -> tuple[list[Item], list[str]]:
    """Return the items of all test sets, in one order, and the labels of what was ignored.

    A file that is listed several times counts once.

    Raises
    ------
    UsageError
        C01 to C03 as in `train.data.layout`; C02 also when two test sets label a file differently;
        C05 when nothing is left.
    """
    items: list[Item] = []
    ignored: list[str] = []
    for entry in data:
        if entry.startswith(PHANTOM):
            items.append(_phantom_item(entry, classes))
            continue
        found, unknown = _read_labelled(Path(entry), classes, ignore_unknown, layout)
        items += found
        ignored += unknown
    if not items:
        raise UsageError(
            ", ".join(data), "nothing to measure", f"classes are {', '.join(classes)}", fault="C05"
        )
    return _once(items), sorted(ignored)


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
    name = Path(item.uri).name
    truth = Truth(item.source, name, 0, item.group, item.label, place=item.place)
    if Path(item.uri).suffix.lower() in STILL_SUFFIXES:
        yield replace(truth, digest=digest_of(item.uri)), read_still(Path(item.uri))
        return
    with open_source(item.uri, session="evaluate") as source:
        for index, frame in enumerate(source):
            if frame.damage is None:
                yield replace(truth, index=index), frame.pixels
        problems += [f"{source.info.name}: {problem.text}" for problem in source.problems]


def _phantom_pictures(item: Item, classes: Sequence[str]) -> Iterator[tuple[Truth, Pixels]]:
    spec = parse_phantom(item.uri)
    scene = PhantomScene(spec)
    for index in range(spec.frame_count):
        image, mask = scene.frame(index)
        label = classes.index(spec.finding) if mask.any() else 0
        yield Truth(item.source, item.uri, index, item.group, label), Pixels((image,))


def _once(items: Sequence[Item]) -> list[Item]:
    """Return each file's first item in the order of clips."""
    known: dict[str, Item] = {}
    other = set()
    for item in sorted(items, key=lambda item: (item.source, item.uri, item.group)):
        if known.setdefault(item.uri, item).label != item.label:
            other.add(item.uri)
    twice = [f"{uri} has two labels" for uri in sorted(other)]
    refuse("the data", twice, "give each file one label", "C02")
    return list(known.values())


def _phantom_item(uri: str, classes: Sequence[str]) -> Item:
    spec = parse_phantom(uri)
    if spec.finding not in classes:
        raise UsageError(
            uri, f"finding {spec.finding!r}", f"classes are {', '.join(classes)}", fault="C02"
        )
    return Item(spec.uri, None, f"seed {spec.seed}", spec.uri)


def _read_labelled(
    place: Path, classes: Sequence[str], ignore_unknown: bool, layout: Layout
) -> tuple[list[Item], list[str]]:
    rows = read_rows(place, layout)
    labels = read_labels(place.name, rows, classes)
    if not ignore_unknown:
        refuse_unknown(place.name, rows, labels, classes)
    root = str((place if place.is_dir() else place.parent).resolve())
    items, ignored = [], []
    for row, label in zip(rows, labels, strict=True):
        if label is None:
            ignored.append(row.cells["label"].strip() or "no label")
            continue
        sample = as_sample(row, label)
        items.append(Item(sample.uri, label, sample.group, sample.source, root))
    return items, ignored
