"""Which frames are trained on, which choose, which are only ever tested."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from stream.errors import UsageError
from train.data.samples import Sample
from train.recipe import Split

TRAIN, VALIDATION, TEST, LEFT_OUT = "train", "validation", "test", "left out"
GIVEN = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
}
PIECES = 20
BY_GROUP = "People, clips and near-copies are kept together"
BY_IMAGE = "Frames are held out one by one, whatever person or clip they come from"


class Parts(NamedTuple):
    """The part of each frame and how it came about.

    Parameters
    ----------
    names : N of train, validation, test, left out
    rule : in words, for every figure that is measured on them
    """

    names: NDArray[np.str_]
    rule: str


def draw_parts(name: str, samples: Sequence[Sample], split: Split, seed: int) -> Parts:
    """Divide samples into training, validation and test.

    Parts that the data name are kept; what they do not name is drawn from the training part,
    stratified by class. With ``by = "group"`` a frame whose group is also in the test part is left
    out of training and validation, and one whose group is also validated is left out of training.

    Raises
    ------
    UsageError
        C05 with the counts when a part would lack a class.
    """
    labels = np.array([sample.label for sample in samples])
    own = np.array([sample.group for sample in samples])
    groups = own if split.by == "group" else np.arange(len(samples)).astype(str)
    names = _given(name, samples, split)
    said = sorted(set(names) - {TRAIN})
    if split.by == "group":
        _keep_apart(names, groups)
    for number, (part, share) in enumerate(((TEST, split.test), (VALIDATION, split.validation))):
        if part not in names:
            _draw(name, names, part, share, (labels, groups, seed + number))
    _check(name, names, labels)
    source = f"parts given by the data: {', '.join(said)}" if said else "parts drawn at random"
    together = BY_GROUP if split.by == "group" else BY_IMAGE
    return Parts(names, f"{together}; {source}, seed {seed}. Figures are of the test part.")


def _given(name: str, samples: Sequence[Sample], split: Split) -> NDArray[np.str_]:
    """Return the part that the data name for each sample, all ``train`` where they name none."""
    stated = [sample.fold.strip().lower() for sample in samples]
    if split.kind == "random" or not any(stated):
        return np.full(len(samples), TRAIN, dtype="U10")
    unknown = sorted(set(stated) - GIVEN.keys())
    if unknown:
        raise UsageError(name, f"parts {unknown}", f"expected {', '.join(GIVEN)}", fault="C05")
    names = np.array([GIVEN[word] for word in stated], dtype="U10")
    if TEST not in names and split.given_val_is == "test":
        names[names == VALIDATION] = TEST
    return names


def _keep_apart(names: NDArray[np.str_], groups: NDArray[np.str_]) -> None:
    for part, others in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
        held = np.isin(groups, groups[names == part])
        names[held & np.isin(names, others)] = LEFT_OUT


def _draw(
    name: str,
    names: NDArray[np.str_],
    part: str,
    share: float,
    about: tuple[NDArray[np.int64], NDArray[np.str_], int],
) -> None:
    """Move about `share` of all frames, whole groups of them, from the training part to `part`."""
    labels, groups, seed = about
    pool = np.flatnonzero(names == TRAIN)
    groups_of = [len(set(groups[pool][labels[pool] == label])) for label in set(labels.tolist())]
    pieces = min(PIECES, *groups_of)
    if pieces < 2:
        raise UsageError(
            name, f"nothing to draw a {part} part from", _counts(names, labels), fault="C05"
        )
    folds = StratifiedGroupKFold(pieces, shuffle=True, random_state=seed)
    wanted = share * len(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        held = [pool[places] for _, places in folds.split(pool, labels[pool], groups[pool])]
    moved = 0
    for places in held[:-1]:
        if moved and moved + len(places) / 2 > wanted:
            break
        names[places] = part
        moved += len(places)


def _check(name: str, names: NDArray[np.str_], labels: NDArray[np.int64]) -> None:
    every = set(labels.tolist())
    short = [part for part in (TRAIN, VALIDATION, TEST) if set(labels[names == part]) != every]
    if short or len(every) < 2:
        raise UsageError(
            name,
            f"the {' and '.join(short) or 'data'} lack a class: {_counts(names, labels)}",
            "add data, or groups that can be held apart",
            fault="C05",
        )


def _counts(names: NDArray[np.str_], labels: NDArray[np.int64]) -> str:
    found = Counter(zip(names.tolist(), labels.tolist(), strict=True))
    return ", ".join(f"{part} class {label} {n}" for (part, label), n in sorted(found.items()))
