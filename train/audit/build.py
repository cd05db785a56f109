"""From labelled rows to everything that is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from train.audit.content import Audit, CopyCount, Pair, Part, Spread, Text, name_problems
from train.audit.copies import Copy, pair_copies
from train.audit.hidden import estimate_hidden
from train.audit.leaks import Leak, find_leaks
from train.audit.polarity import compare_senses
from train.audit.shots import Glance, Shots, Tick, look_at
from train.data.layout import PLAIN, Layout
from train.data.table import Row

COLUMNS = ("split", "fold")
MOST_PAIRS = 1000
NINTHS = (("top", "middle", "bottom"), ("left", "centre", "right"))


def audit_rows(
    rows: Sequence[Row], place: Path, layout: Layout = PLAIN, tick: Tick = lambda total: None
) -> Audit:
    """Check labelled rows, in whatever order they come.

    Parameters
    ----------
    rows : as `train.data.layout.read_rows` gives them
    place : the folder or table that they were read from
    tick : called after each file with the number of files
    """
    root = (place if place.is_dir() else place.parent).resolve()
    rows = sorted(rows, key=lambda row: (row.path, row.cells["label"], row.line))
    shots = look_at(rows, root, layout.frames_per_clip, tick)
    copies = pair_copies(shots.vectors, shots.digests)
    columns = [column for column in COLUMNS if any(row.cells.get(column) for row in rows)]
    parts = {column: [row.cells.get(column, "") for row in shots.rows] for column in columns}
    sizes = Counter("{} x {}".format(*glance.size_wh) for glance in shots.glances)
    audit = Audit(
        place=str(place),
        root=str(root),
        files=len(rows),
        frames=len(shots.samples),
        classes=_count_classes(shots, range(len(shots.samples))),
        parts=tuple(part for c in columns for part in _parts(c, parts[c], shots, copies)),
        unreadable=shots.unreadable,
        flat=tuple(shots.files[place] for place in np.flatnonzero(~shots.vectors.any(axis=1))),
        byte_copies=_count(shots, copies, "byte"),
        near_copies=_count(shots, copies, "near"),
        leaks={column: _leaks(shots, copies, parts[column]) for column in columns},
        sizes=dict(sizes.most_common()),
        brightness=_brightness(shots),
        text=_text(shots),
        polarity=tuple(compare_senses(rows, root)),
        hidden=estimate_hidden(shots, copies),
        pairs=_worst(shots, copies, [parts[c] for c in columns]),
    )
    return msgspec.structs.replace(audit, problems=name_problems(audit))


def _count_classes(shots: Shots, places: Sequence[int]) -> dict[str, int]:
    counts = Counter(shots.samples[place].label for place in places)
    return {name: counts[label] for label, name in enumerate(shots.classes)}


def _parts(column: str, names: Sequence[str], shots: Shots, copies: Sequence[Copy]) -> list[Part]:
    copied = {place for c in copies if _apart(names, c) for place in (c.a, c.b)}
    found = []
    for name in sorted(set(names)):
        places = [place for place, own in enumerate(names) if own == name]
        classes = _count_classes(shots, places)
        found.append(Part(column, name, len(places), classes, len(copied & set(places))))
    return found


def _apart(names: Sequence[str], copy: Copy) -> bool:
    """Say whether a copy lies in two parts; frames without one lie in none."""
    return names[copy.a] != names[copy.b] and "" not in (names[copy.a], names[copy.b])


def _count(shots: Shots, copies: Sequence[Copy], kind: str) -> CopyCount:
    of_kind = [copy for copy in copies if copy.kind == kind]
    labels = shots.labels
    opposite = [copy for copy in of_kind if labels[copy.a] != labels[copy.b]]
    frames = {place for copy in of_kind for place in (copy.a, copy.b)}
    files = {shots.files[place] for copy in opposite for place in (copy.a, copy.b)}
    return CopyCount(len(of_kind), len(frames), len(opposite), tuple(sorted(files)))


def _leaks(shots: Shots, copies: Sequence[Copy], names: Sequence[str]) -> tuple[Leak, ...]:
    samples = [replace(s, fold=name) for s, name in zip(shots.samples, names, strict=True)]
    return tuple(find_leaks(samples, copies, kept=[i for i, name in enumerate(names) if name]))


def _brightness(shots: Shots) -> dict[str, Spread]:
    means = np.array([glance.brightness for glance in shots.glances])
    found = {}
    for label, name in enumerate(shots.classes):
        own = means[shots.labels == label]
        if len(own):
            found[name] = Spread(*np.quantile(own, (0.05, 0.5, 0.95)).round(1).tolist())
    return found


def _text(shots: Shots) -> Text:
    places = [place for place, glance in enumerate(shots.glances) if glance.text]
    where = Counter(spot for place in places for spot in _ninths(shots.glances[place]))
    every, own = _count_classes(shots, range(len(shots.samples))), _count_classes(shots, places)
    return Text(
        frames=len(places),
        share=len(places) / max(1, len(shots.samples)),
        where=dict(where.most_common()),
        classes={name: own[name] / max(1, every[name]) for name in shots.classes},
        files=tuple(dict.fromkeys(shots.files[place] for place in places)),
    )


def _ninths(glance: Glance) -> set[str]:
    """Return in which ninths of the picture the middles of its texts lie."""
    width, height = glance.size_wh
    found = set()
    for left, top, right, bottom in glance.text:
        row, column = 3 * (top + bottom) // (2 * height), 3 * (left + right) // (2 * width)
        found.add(f"{NINTHS[0][row]} {NINTHS[1][column]}")
    return found


def _worst(
    shots: Shots, copies: Sequence[Copy], parts: Sequence[Sequence[str]]
) -> tuple[Pair, ...]:
    labels = shots.labels

    def harm(copy: Copy) -> tuple[bool, bool, bool, float, int, int]:
        same = bool(labels[copy.a] == labels[copy.b])
        apart = any(_apart(names, copy) for names in parts)
        return same or copy.kind != "byte", same, not apart, -copy.similarity, copy.a, copy.b

    return tuple(_pair(shots, copy, parts) for copy in sorted(copies, key=harm)[:MOST_PAIRS])


def _pair(shots: Shots, copy: Copy, parts: Sequence[Sequence[str]]) -> Pair:
    samples = [shots.samples[place] for place in copy[:2]]
    names = [" ".join(column[place] for column in parts) for place in copy[:2]]
    return Pair(
        files=(shots.files[copy.a], shots.files[copy.b]),
        frames=(samples[0].index, samples[1].index),
        labels=(shots.classes[samples[0].label], shots.classes[samples[1].label]),
        parts=(names[0], names[1]),
        similarity=round(copy.similarity, 4),
        kind=copy.kind,
    )
