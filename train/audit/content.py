"""What an audit says, each datum once; written as JSON and drawn as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import msgspec

from train.audit.hidden import Hidden
from train.audit.leaks import Leak
from train.audit.polarity import Polarity

SHOWN = 5


class Part(msgspec.Struct, frozen=True):
    """One part of a split.

    Parameters
    ----------
    column : "split" or "fold"
    name : of the part, empty for frames that are in none
    frames : in it
    classes : frames of each class
    copied : frames with a byte or near copy in another part
    """

    column: str
    name: str
    frames: int
    classes: dict[str, int]
    copied: int

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.column} {self.name}" if self.name else f"no {self.column}"


class Pair(msgspec.Struct, frozen=True):
    """Two frames that show the same; paths are from the data's folder."""

    files: tuple[str, str]
    frames: tuple[int, int]
    labels: tuple[str, str]
    parts: tuple[str, str]
    similarity: float
    kind: str


class CopyCount(msgspec.Struct, frozen=True):
    """How many copies of one kind there are.

    Parameters
    ----------
    pairs, frames : all of them
    opposite : pairs whose labels differ
    opposite_files : files in such pairs
    """

    pairs: int
    frames: int
    opposite: int
    opposite_files: tuple[str, ...]


class Spread(msgspec.Struct, frozen=True):
    """The 5 %, 50 % and 95 % quantiles."""

    low: float
    median: float
    high: float


class Text(msgspec.Struct, frozen=True):
    """Burned-in text that was found.

    Parameters
    ----------
    frames : frames with text
    share : of all frames
    where : frames with text in each ninth of the picture, such as "bottom right"
    classes : share of frames with text in each class
    files : with such a frame
    """

    frames: int
    share: float
    where: dict[str, int]
    classes: dict[str, float]
    files: tuple[str, ...]


class Audit(msgspec.Struct, frozen=True):
    """Everything that was found in labelled data.

    Parameters
    ----------
    place : the folder or table
    root : folder that paths are from
    files, frames : listed files, readable frames
    classes : frames of each class
    parts : of each split or fold
    unreadable : file and why
    flat : files with a frame that shows nothing, such as a black one
    byte_copies, near_copies : counts
    leaks : by column, what its parts share
    sizes : frames of each size, "width x height", most frequent first
    brightness : mean grey level of the frames of each class
    text : burned-in text
    polarity : what else says healthy or ill
    hidden : what a random split hides, None when there is too little data
    pairs : the worst pairs, at most 1,000: opposite labels first, then different parts
    problems : what should be mended before anything is trained, in words
    """

    place: str
    root: str
    files: int
    frames: int
    classes: dict[str, int]
    parts: tuple[Part, ...]
    unreadable: tuple[tuple[str, str], ...]
    flat: tuple[str, ...]
    byte_copies: CopyCount
    near_copies: CopyCount
    leaks: dict[str, tuple[Leak, ...]]
    sizes: dict[str, int]
    brightness: dict[str, Spread]
    text: Text
    polarity: tuple[Polarity, ...]
    hidden: Hidden | None
    pairs: tuple[Pair, ...]
    problems: tuple[str, ...] = ()


def name_problems(audit: Audit) -> tuple[str, ...]:
    """Return what should be mended before anything is trained, in words."""
    byte, near = audit.byte_copies, audit.near_copies
    unread = [f"{file}: {why}" for file, why in audit.unreadable]
    found = [
        *_told("files that cannot be read", len(unread), unread),
        *_told("frames that show nothing", len(audit.flat), audit.flat),
        *_told("frames with burned-in text", audit.text.frames, audit.text.files),
        *_told("pairs of byte copies with different labels", byte.opposite, byte.opposite_files),
        *_told("pairs of near copies with different labels", near.opposite, ()),
        *_class_problems(audit),
    ]
    for column, leaks in audit.leaks.items():
        found += [f"{column}: {leak}" for leak in leaks]
    found += [f"polarity: {said}" for said in audit.polarity if said.contradict]
    return tuple(found)


def _told(what: str, count: int, examples: Sequence[str]) -> list[str]:
    """Return a problem with its first examples, or nothing where there is none."""
    more = ", ..." if len(examples) > SHOWN else ""
    named = f" ({', '.join(examples[:SHOWN])}{more})" if examples else ""
    return [f"{what}: {count}{named}"] if count else []


def _class_problems(audit: Audit) -> Iterator[str]:
    """Yield what is wrong with the classes, of all frames and of each part."""
    yield from _told("frames without a label", audit.classes.get("", 0), ())
    names = sorted(filter(None, audit.classes))
    for one, other in combinations(names, 2):
        if one.casefold() == other.casefold():
            yield f"labels that differ in case only: {one}, {other}"
    if len(names) < 2:
        yield f"fewer than two classes: {', '.join(names) or 'none'}"
    for part in audit.parts:
        absent = [name for name in names if not part.classes[name]]
        if not part.name:
            yield f"frames with no {part.column}: {part.frames}"
        elif absent:
            yield f"{part.title}: no frame of {', '.join(absent)}"
