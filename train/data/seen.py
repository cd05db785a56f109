"""Which measured frames a model was trained on, by the list that lies beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

from stream.errors import UsageError
from stream.sources.discover import CLIP_SUFFIXES, PHANTOM, STILL_SUFFIXES
from stream.sources.phantom import parse_phantom
from train.data.testset import Truth

LIST_NAME = "trained-on.tsv"


@dataclass(frozen=True, slots=True)
class TrainingList:
    """What a model was trained on.

    Parameters
    ----------
    count : lines of the list
    digests : sha256 of its stills
    frames : (source, index) of its frames of clips
    seeds : (organ, seed) of its phantoms
    clips : names of the clips that its frames are of
    people : their names
    """

    count: int
    digests: frozenset[str]
    frames: frozenset[tuple[str, int]]
    seeds: frozenset[tuple[str, int]]
    clips: frozenset[str]
    people: frozenset[str]

    def holds(self, truth: Truth) -> bool:
        """Whether it has this frame: by bytes, by clip and index, or any of a phantom's seed."""
        if truth.digest:
            return truth.digest in self.digests
        if truth.source.startswith(PHANTOM):
            return _seed_of(truth.source) in self.seeds
        return (truth.source, truth.index) in self.frames

    def relates(self, truth: Truth) -> bool:
        """Whether it has a frame of a clip of this name."""
        return _clip_name(truth.source) in self.clips


class Seen(NamedTuple):
    """How much of a test set a model was trained on.

    Parameters
    ----------
    frames : for each measured frame, whether it is in the list; None when that cannot be told
    related : further frames of clips whose names are in the list, None when that cannot be told
    banner : what stands above everything that is shown, empty when the figures are of new frames
    origin : how this is known, or why it cannot be told
    """

    frames: tuple[bool, ...] | None
    related: int | None
    banner: str
    origin: str


def find_seen(model: Path, data_digest: str, truths: Sequence[Truth]) -> Seen:
    """Compare a test set with the training list beside a model.

    Parameters
    ----------
    data_digest : of the list, as the model states it
    """
    found = read_list(model.with_name(LIST_NAME), data_digest)
    if isinstance(found, str):
        return Seen(
            None, None, "", f"It cannot be told whether the model was trained on these: {found}."
        )
    frames = tuple(found.holds(truth) for truth in truths)
    related = sum(found.relates(t) for t, seen in zip(truths, frames, strict=True) if not seen)
    known = len({t.group for t, s in zip(truths, frames, strict=True) if not s} & found.people)
    origin = f"{sum(frames)} of {len(truths)} frames are in the model's training list"
    origin += f" of {found.count}; {related} more are of clips in it." if related else "."
    if known:
        origin += f" People whose names are in it: {known}."
    banner = ""
    if related or any(frames):
        banner = (
            f"FIGURES FROM TRAINING DATA: {sum(frames)} of {len(truths)} frames were trained on"
        )
        banner += f", {related} more are of clips that were." if related else "."
    return Seen(frames, related, banner, origin)


def read_list(path: Path, data_digest: str) -> TrainingList | str:
    """Read a training list, or say in words why it cannot be used.

    Lines are those of `train.data.samples.list_lines`; their sha256 must be what the model states.
    """
    if not path.is_file():
        return f"{path.name} is not beside it"
    try:
        text = path.read_bytes().removesuffix(b"\n")
        lines = text.decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        return f"{path.name} cannot be read ({error})"
    if hashlib.sha256(text).hexdigest() != data_digest:
        return f"{path.name} is not the list that the model names"
    rows = [line.split("\t") for line in lines]
    if not all(len(row) in (5, 6) and row[2].isdecimal() for row in rows):
        return f"{path.name} has lines that are not of five or six fields"
    clips = [row for row in rows if len(row) == 5 and not row[0].startswith(PHANTOM)]
    phantoms = {row[0] for row in rows if row[0].startswith(PHANTOM)}
    try:
        seeds = frozenset(map(_seed_of, phantoms))
    except UsageError as error:
        return f"{path.name} cannot be read ({error})"
    return TrainingList(
        len(rows),
        frozenset(row[5] for row in rows if len(row) == 6),
        frozenset((row[0], int(row[2])) for row in clips),
        seeds,
        frozenset(filter(None, (_clip_name(row[0]) for row in rows))),
        frozenset(row[4] for row in rows),
    )


def _seed_of(uri: str) -> tuple[str, int]:
    spec = parse_phantom(uri)
    return spec.organ, spec.seed


def _clip_name(source: str) -> str:
    """Return what a clip is called: a file in whatever folder it lies, else the whole source.

    Empty for phantoms and for stills that are of no clip.
    """
    if source.startswith(PHANTOM):
        return ""
    path = PurePath(source)
    suffix = path.suffix.lower()
    return "" if suffix in STILL_SUFFIXES else path.name if suffix in CLIP_SUFFIXES else source
