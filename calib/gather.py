"""Reads frames for calibration from clips, folders and tables, as the model takes them."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from calib.frames import FrameSet
from engines.preprocess import to_model_input
from engines.spec import ModelSpec
from stream import console
from stream.errors import SourceError, StreamError, UsageError
from stream.frame import Frame
from stream.sources.discover import PHANTOM, STILL_SUFFIXES, find_clips, natural_key
from stream.sources.nursery import Nursery
from stream.sources.open import open_source

MOST_FRAMES = 1024
LEAST_PER_CLIP = 4
PEOPLE = ("patient", "person", "subject")
CLIPS = ("source", "clip", "group")
PERSON = "person "

_LAST_NUMBER = re.compile(r"[-_. ]?(frame)?[-_. ]?\d+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Item:
    """One clip or still to read.

    Parameters
    ----------
    uri : path or phantom address
    name : for people, relative to what was given
    group : person where a table names one, else clip
    label : class index, -1 where unknown
    """

    uri: str
    name: str
    group: str
    label: int

    @property
    def is_still(self) -> bool:
        """Whether it is one picture."""
        return _is_still(self.uri)

    @property
    def person(self) -> bool:
        """Whether the group is a person."""
        return self.group.startswith(PERSON)


def gather_frames(
    paths: Sequence[str], spec: ModelSpec, on_item: Callable[[int], None] = lambda _: None
) -> FrameSet:
    """Read frames, evenly from what is given: at most 1024 of clips and 1024 stills.

    A file given twice counts once, and one that cannot be read is left out with a warning.

    Parameters
    ----------
    paths : clips, folders (each clip and still below; a folder named like a class is its label),
        phantom addresses, and CSV tables with a column ``file`` and, if known, ``label``,
        ``patient`` and ``source``, files relative to the table
    on_item : called with the number of clips and stills after each

    Raises
    ------
    UsageError
        C01 for an unusable table, C03 for files that it names and that are absent.
    SourceError
        V21 for a path that does not exist; else if no input can be read.
    """
    items = _once([item for path in paths for item in find_items(path, spec)])
    stills = _thin([item for item in items if item.is_still], MOST_FRAMES)
    clips = [item for item in items if not item.is_still]
    clips = _thin(clips, max(MOST_FRAMES // LEAST_PER_CLIP, 1))
    chosen = {*clips, *stills}
    read = [item for item in items if item in chosen]
    share = MOST_FRAMES // max(len(clips), 1)
    found: list[tuple[Item, int, float, NDArray[np.uint8]]] = []
    unread: list[StreamError] = []
    with Nursery() as nursery:
        for item in read:
            try:
                found += [(item, *rest) for rest in _read_item(item, spec, share, nursery)]
            except StreamError as error:
                unread.append(error)
            on_item(len(read))
    if not found:
        nothing = SourceError(paths[0], "no usable frame", "give clips or stills", fault="V04")
        raise unread[0] if unread else nothing
    for reason in unread:
        console.warn(f"left out: {reason}")
    missing = f", {len(unread)} of them unreadable," if unread else ""
    read_from = f"{len(read)} clips and stills{missing} from {', '.join(paths)}"
    return FrameSet(
        inputs=np.stack([picture for *_, picture in found]),
        names=tuple(i.name if i.is_still else f"{i.name}#{n}" for i, n, _, _ in found),
        groups=tuple(item.group for item, *_ in found),
        times_s=np.array([time_s for _, _, time_s, _ in found], np.float64),
        labels=np.array([item.label for item, *_ in found], np.int64),
        origin=f"{len(found)} frames of {read_from}",
    )


def find_items(path: str, spec: ModelSpec) -> list[Item]:
    """Return the clips and stills that a path, folder, table or address stands for."""
    if Path(path).suffix.lower() == ".csv":
        return list(_read_table(Path(path), spec))
    if not path.startswith(PHANTOM) and not os.path.lexists(path):
        raise SourceError(PurePath(path).name, "no such file or folder", fault="V21")
    items = []
    for uri in find_clips([path]):
        folder = not uri.startswith(PHANTOM) and Path(uri).is_dir()
        for file in _stills_in(uri) if folder else [uri]:
            name = _name_below(file, path)
            items.append(Item(file, name, _clip_of(name), _label_of_folder(file, path, spec)))
    return items


def _read_table(path: Path, spec: ModelSpec) -> Iterator[Item]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise UsageError(path.name, problem, "give a CSV table", fault="C01") from error
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = {name.strip().casefold(): name for name in reader.fieldnames or ()}
    if "file" not in columns:
        remedy = "expected a column file, and label, patient, source where known"
        raise UsageError(path.name, f"columns {list(columns)}", remedy, fault="C01")
    for row in reader:
        cells = {key: (row[name] or "").strip() for key, name in columns.items()}
        file = path.parent / cells["file"]
        if not file.is_file():
            problem = f"line {reader.line_num}: no file {cells['file']!r}"
            raise UsageError(path.name, problem, "paths are relative to the table", fault="C03")
        people = [f"{PERSON}{cells[key]}" for key in PEOPLE if cells.get(key)]
        clips = [cells[key] for key in CLIPS if cells.get(key)]
        group = next(iter(people + clips), _clip_of(cells["file"]))
        label = _index(cells.get("label", ""), spec)
        yield Item(str(file), cells["file"], group, label)


def _index(label: str, spec: ModelSpec) -> int:
    names = [name.casefold() for name in spec.classes]
    return names.index(label.casefold()) if label.casefold() in names else -1


def _name_below(file: str, given: str) -> str:
    """Return a file's name relative to the folder given; a still given alone keeps its folder's."""
    if Path(given).is_dir():
        return os.path.relpath(file, given)
    name = PurePath(file).name
    return f"{_folder_of(file).name}/{name}" if _is_still(name) else name


def _label_of_folder(file: str, given: str, spec: ModelSpec) -> int:
    """Return the class that the nearest folder is named after, none above the one given; or -1."""
    if file.startswith(PHANTOM):
        return -1
    below = len(Path(os.path.relpath(file, given)).parts) if Path(given).is_dir() else 1
    found = [_index(part, spec) for part in reversed(_folder_of(file).parts[-below:])]
    return next((label for label in found if label >= 0), -1)


def _folder_of(file: str) -> Path:
    """Return the folder that a file lies in; links are not followed, since a link lies there."""
    return Path(file).absolute().parent


def _once(items: Sequence[Item]) -> list[Item]:
    """Return each file once: with its person where a table names one, else with its label."""
    best: dict[str, Item] = {}
    for item in items:
        place = item.uri if item.uri.startswith(PHANTOM) else os.path.realpath(item.uri)
        known = best.setdefault(place, item)
        if (item.person, item.label >= 0) > (known.person, known.label >= 0):
            best[place] = item
    return list(best.values())


def _stills_in(folder: str) -> list[str]:
    names = sorted((entry.name for entry in Path(folder).iterdir()), key=natural_key)
    return [str(Path(folder) / n) for n in names if Path(n).suffix.lower() in STILL_SUFFIXES]


def _is_still(name: str) -> bool:
    return PurePath(name).suffix.lower() in STILL_SUFFIXES


def _clip_of(name: str) -> str:
    """Return a still's name without its last number: stills of one clip differ in that alone."""
    if not _is_still(name):
        return name
    return _LAST_NUMBER.sub("", str(PurePath(name).with_suffix("")))


def _thin(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many, evenly spaced in order of group and name."""
    ordered = sorted(items, key=lambda item: (item.label, item.group, natural_key(item.name)))
    places = np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int)
    return [ordered[place] for place in places]


def _read_item(
    item: Item, spec: ModelSpec, most: int, nursery: Nursery
) -> list[tuple[int, float, NDArray[np.uint8]]]:
    """Return number, time and model input of at most `most` frames, evenly spaced in the clip."""
    kept: list[tuple[int, float, NDArray[np.uint8]]] = []
    stride = 1
    with open_source(item.uri, session="calibrate", nursery=nursery) as source:
        for frame in source:
            if frame.damage is not None or frame.id.seq % stride:
                continue
            kept.append((frame.id.seq, _time_s(frame), _input_of(frame, spec)))
            if len(kept) > most:
                stride *= 2
                kept = [row for row in kept if row[0] % stride == 0]
    return kept


def _time_s(frame: Frame) -> float:
    return float("nan") if frame.pts_ns is None else frame.pts_ns / 1e9


def _input_of(frame: Frame, spec: ModelSpec) -> NDArray[np.uint8]:
    return to_model_input(frame.pixels, spec.input_wh, spec.fit)
