"""The one door to labelled data: a table, or a folder whose shape says what its files are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath

import msgspec

from stream.errors import UsageError
from stream.sources.discover import CLIP_SUFFIXES, STILL_SUFFIXES, natural_key
from train.data.table import TABLE_SUFFIXES, Row, has_columns, read_table, refuse

TABLES = ("frames.csv", "labels.csv", "clips.csv")
SPLITS = frozenset(("train", "val", "valid", "validation", "test"))

_MURA = re.compile(
    r"(?:(?P<split>train|valid)/)?XR_(?P<region>[^/]+)/patient(?P<patient>\d+)"
    r"/study[^/]*_(?P<label>positive|negative)/[^/]+"
)
_REGION = re.compile(r"(?:(?:train|valid)/)?XR_")


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How data is written down.

    Parameters
    ----------
    file_column, label_column : columns of a table, compared without case; where they are absent,
        ``file`` and ``label`` count
    labels : how a class may be written in the data, without case -> class name; a class's own
        name always counts
    frames_per_clip : frames taken from each clip, evenly spaced
    """

    file_column: str = "file"
    label_column: str = "label"
    labels: dict[str, str] = {}
    frames_per_clip: int = 10

    def class_of(self, written: str) -> str:
        """Return the class name of a label as written, or the label itself."""
        word = written.strip()
        own = {name.casefold(): name for name in self.labels.values()}
        other = {alias.casefold(): name for alias, name in self.labels.items()}
        return own.get(word.casefold()) or other.get(word.casefold()) or word


PLAIN = Layout()


@dataclass(slots=True)
class _Tree:
    """What lies below a folder, hidden names left out; parts are relative to it."""

    root: Path
    files: list[tuple[str, ...]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def read_rows(place: Path, layout: Layout = PLAIN) -> list[Row]:
    """Read what is labelled in a table or below a folder.

    A folder is one of, in this order: a folder with frames.csv, labels.csv, clips.csv or else one
    .csv or .xlsx table at its top that has the two columns; a MURA tree
    (``XR_ELBOW/patient00001/study1_positive/image1.png``, also below ``train`` and ``valid``);
    folders named train, val, valid, validation or test with class folders below; class folders.
    Stills in a folder of their own below a class folder are one clip. Cells are named ``file``
    and ``label`` and, if known, ``patient``, ``source``, ``split``, ``fold`` and ``region``.

    Raises
    ------
    UsageError
        C01 unreadable or ambiguous, C02 a picture without a label, C03 a file that is absent, lies
        outside or has a name that lists cannot hold, C05 folders without a picture.

    References
    ----------
    Rajpurkar et al., MURA, arXiv:1712.06957 (2018): the tree of studies.
    """
    table = find_table(place, layout) if place.is_dir() else place
    if table is not None:
        rows = read_table(table, layout.file_column, layout.label_column)
    else:
        rows = _read_folder(place)
    return [
        Row(row.line, row.path, row.cells | {"label": layout.class_of(row.cells["label"])})
        for row in rows
    ]


def find_table(folder: Path, layout: Layout = PLAIN) -> Path | None:
    """Return the table at the top of a folder, or None when there is none.

    Raises
    ------
    UsageError
        C01 when several could be meant, C03 when the folder cannot be listed.
    """
    for name in TABLES:
        if (folder / name).is_file():
            return folder / name
    try:
        listed = sorted(folder.iterdir())
    except OSError as error:
        problem = f"cannot be listed ({error.strerror})"
        raise UsageError(str(folder), problem, "give a readable folder", fault="C03") from error
    fitting = [
        path
        for path in listed
        if path.suffix.lower() in TABLE_SUFFIXES
        and not path.name.startswith((".", "~$"))
        and has_columns(path, layout.file_column, layout.label_column)
    ]
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting)
        raise UsageError(str(folder), f"several tables: {names}", "name one of them", fault="C01")
    return fitting[0] if fitting else None


def _read_folder(root: Path) -> list[Row]:
    tree = _walk(root.resolve())
    name = str(root)
    refuse(name, tree.wrong, "give regular files below the folder", "C03")
    if not tree.files:
        remedy = "give a table, or class folders with pictures or clips"
        raise UsageError(name, "holds no picture and no clip", remedy, fault="C05")
    refuse(name, tree.empty, "fill or delete these folders", "C05")
    describe = _shape(tree)
    described = {file: describe(file) for file in map("/".join, tree.files)}
    lost = [f"{file} has no label" for file, cells in described.items() if not cells]
    refuse(name, lost, "expected every file in a class folder", "C02")
    return [Row(0, tree.root / file, cells) for file, cells in described.items()]


def _walk(root: Path) -> _Tree:
    tree = _Tree(root)
    for place, names, files in os.walk(root, onerror=lambda error: tree.wrong.append(str(error))):
        here = PurePath(place).relative_to(root)
        names[:] = [name for name in names if not name.startswith(".")]
        for name in names:
            if (Path(place) / name).is_symlink():
                tree.wrong.append(f"{here / name} is a link to a folder")
        found = [
            name
            for name in files
            if not name.startswith(".")
            and PurePath(name).suffix.lower() in STILL_SUFFIXES | CLIP_SUFFIXES
        ]
        tree.files += [(*here.parts, name) for name in found]
        tree.wrong += [
            f"{here / name} {wrong}" for name in found if (wrong := _wrong(root, place, name))
        ]
        if not names and not found and here.parts:
            tree.empty.append(f"{here} holds no picture and no clip")
    tree.files.sort(key=lambda parts: ([natural_key(part) for part in parts], parts))
    return tree


def _wrong(root: Path, place: str, name: str) -> str:
    path = Path(place) / name
    if not _is_line(str(path)):
        return "has a name that is not UTF-8, or not on one line"
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
        return "is a link out of the folder"
    return "" if path.is_file() else "is absent or no regular file"


def _is_line(text: str) -> bool:
    """Say whether lists of files can hold this name: UTF-8 without tabs and line ends."""
    try:
        return not re.search(rb"[\t\n\r]", text.encode())
    except UnicodeEncodeError:
        return False


def _shape(tree: _Tree) -> Callable[[str], dict[str, str]]:
    """Return what gives the cells of a file by its place; empty when its place has no label."""
    if any(_REGION.match("/".join(parts)) for parts in tree.files):
        return _describe_study
    if any(parts[0].casefold() in SPLITS for parts in tree.files):
        return partial(_describe_class, depth=2)
    return partial(_describe_class, depth=1)


def _describe_class(file: str, depth: int) -> dict[str, str]:
    parts = file.split("/")
    if len(parts) <= depth or (depth == 2 and parts[0].casefold() not in SPLITS):
        return {}
    alone = len(parts) == depth + 1 or PurePath(file).suffix.lower() in CLIP_SUFFIXES
    source = file if alone else str(PurePath(file).parent)
    cells = {"file": file, "label": parts[depth - 1], "source": source}
    return cells | ({"split": parts[0].casefold()} if depth == 2 else {})


def _describe_study(file: str) -> dict[str, str]:
    found = _MURA.fullmatch(file)
    if not found:
        return {}
    cells = {"file": file, "label": found["label"], "patient": found["patient"]}
    cells |= {"source": str(PurePath(file).parent), "region": found["region"].lower()}
    return cells | ({"split": found["split"]} if found["split"] else {})
