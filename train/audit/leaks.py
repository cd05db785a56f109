"""What is on both sides of a split although it should not be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

import msgspec

from stream.errors import UsageError
from train.audit.copies import Copy
from train.data.samples import Sample

Kind = Literal["patient", "video", "byte copy", "near copy"]
SHOWN = 5
PLURALS: dict[Kind, str] = {
    "patient": "patients",
    "video": "videos",
    "byte copy": "byte copies",
    "near copy": "near copies",
}


class Leak(msgspec.Struct, frozen=True):
    """What two parts share.

    Parameters
    ----------
    what : kind
    parts : names of the two parts
    count : patients, videos, or pairs of copies
    examples : all patients or videos; of copies the first five, the most similar ones
    """

    what: Kind
    parts: tuple[str, str]
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        name = self.what if self.count == 1 else PLURALS[self.what]
        told = ", ".join(self.examples[:SHOWN]) + (", ..." if self.count > SHOWN else "")
        return f"{self.count} {name} in {' and '.join(self.parts)} ({told})"


def find_leaks(
    samples: Sequence[Sample],
    copies: Sequence[Copy],
    parts: Sequence[str] | None = None,
    kept: Sequence[int] | None = None,
) -> list[Leak]:
    """Return what different parts share.

    A patient counts only where the data name one that is not merely the clip.

    Parameters
    ----------
    copies : places in `samples`
    parts : the part of each sample; its fold when None
    kept : places that count; all when None
    """
    names = [sample.fold for sample in samples] if parts is None else parts
    used = set(range(len(samples)) if kept is None else kept)
    found: list[Leak] = []
    for what, name_of in (("patient", _patient), ("video", _video)):
        found += _shared(what, {i: name for i in used if (name := name_of(samples[i]))}, names)
    for what, kind in (("byte copy", "byte"), ("near copy", "near")):
        crossing = [
            c for c in copies if c.kind == kind and {c.a, c.b} <= used and names[c.a] != names[c.b]
        ]
        found += _crossing(what, crossing, samples, names)
    return found


def refuse_leaks(name: str, leaks: Sequence[Leak], allow: bool) -> None:
    """Refuse a split that leaks unless that is allowed.

    Raises
    ------
    UsageError
        C04 with the counts of each kind and examples.
    """
    if not leaks or allow:
        return
    told = []
    for kind in PLURALS:
        of_kind = [leak for leak in leaks if leak.what == kind]
        if of_kind:
            count = sum(leak.count for leak in of_kind)
            between = "; ".join(
                f"{' and '.join(leak.parts)}: {leak.examples[0]}" for leak in of_kind
            )
            told.append(f"{count} {kind if count == 1 else PLURALS[kind]} ({between})")
    remedy = "split by patient, clip and near-copy, or give --allow-leak, which the model will tell"
    problem = f"the split leaks: {', '.join(told)}"
    raise UsageError(name, problem, remedy, fault="C04")


def shown_place(sample: Sample) -> str:
    """Return the name of a frame for people."""
    name = Path(sample.uri).name
    return name if sample.is_still else f"{name} frame {sample.index}"


def _patient(sample: Sample) -> str:
    return "" if sample.group == sample.source else sample.group


def _video(sample: Sample) -> str:
    return sample.source


def _shared(what: Kind, known: dict[int, str], parts: Sequence[str]) -> list[Leak]:
    where = defaultdict(set)
    for place, name in known.items():
        where[name].add(parts[place])
    shared = defaultdict(list)
    for name, found in sorted(where.items()):
        for pair in combinations(sorted(found), 2):
            shared[pair].append(name)
    return [Leak(what, pair, len(names), tuple(names)) for pair, names in sorted(shared.items())]


def _crossing(
    what: Kind, copies: Sequence[Copy], samples: Sequence[Sample], parts: Sequence[str]
) -> list[Leak]:
    pairs = defaultdict(list)
    for copy in sorted(copies, key=lambda copy: -copy.similarity):
        first, last = sorted((copy.a, copy.b), key=lambda place: parts[place])
        pairs[parts[first], parts[last]].append(
            f"{shown_place(samples[first])} ~ {shown_place(samples[last])} {copy.similarity:.3f}"
        )
    return [
        Leak(what, pair, len(told), tuple(told[:SHOWN])) for pair, told in sorted(pairs.items())
    ]
