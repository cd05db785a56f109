"""What a reader did, one record each, and what follows from the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Place = tuple[int, int]
"""Epoch and seq of a frame, as in the journal."""
Target = Place | None
"""A frame, or None for the clip."""
Decision = Literal["accepted", "rejected", "labelled"]
What = Literal["open", "accept", "reject", "label", "clear", "note", "group", "undo"]
Field = Literal["call", "note", "group", ""]

MAX_NOTE = 2000
Text = Annotated[str, Meta(max_length=MAX_NOTE)]
REJECTED = "rejected"


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reader's judgement of a frame or clip.

    Parameters
    ----------
    decision : "accepted" (what the model said is right), "labelled" (the reader's own choice) or
        "rejected" (not to be used)
    label : class name; empty when rejected
    """

    decision: Decision
    label: str = ""

    @property
    def category(self) -> str:
        """What counts when readers are compared: the class, or "rejected"."""
        return self.label or REJECTED


Value = Call | Text | None


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One action.

    Parameters
    ----------
    number : counts from 1 without gaps, so it is the order
    previous : digest of the record before, zeros for the first
    session : digest of the journal that was reviewed
    reader : who did it
    wall : UTC, for people only
    elapsed_ms : by a clock that never goes back, since the page was opened
    what : the action
    target : the frame, or None for the clip
    field : what it changed; empty when it changed nothing
    old, new : the value before and after
    undoes : number of the record that an "undo" takes back
    about : more, for people
    """

    number: int
    previous: str
    session: str
    reader: str
    wall: str
    elapsed_ms: int
    what: What
    target: Target = None
    field: Field = ""
    old: Value = None
    new: Value = None
    undoes: int | None = None
    about: str = ""


Key = tuple[Field, Target]


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands after all records.

    Parameters
    ----------
    calls : judgement of each frame, and of the clip under None
    notes : likewise
    group : who the clip shows, as given by the reader, or empty
    """

    calls: Mapping[Target, Call]
    notes: Mapping[Target, str]
    group: str

    @property
    def clip(self) -> Call | None:
        """Judgement of the clip."""
        return self.calls.get(None)

    @property
    def frames(self) -> dict[Place, Call]:
        """Judgement of each frame that has one."""
        return {place: call for place, call in self.calls.items() if place is not None}


def values_of(records: Iterable[Record]) -> dict[Key, Value]:
    """Return the value of each field of each target after the records.

    Raises
    ------
    ValueError
        If the old value of a record is not the one that stood then.
    """
    values: dict[Key, Value] = {}
    for record in records:
        if not record.field:
            continue
        key = record.field, record.target
        if values.get(key) != record.old:
            raise ValueError(f"record {record.number} does not follow from those before it")
        values[key] = record.new
    return values


def labels_of(records: Iterable[Record]) -> Labels:
    """Return the labels that stand after the records; errors are those of `values_of`."""
    values = values_of(records)
    group = values.get(("group", None))
    return Labels(
        calls={t: v for (_, t), v in values.items() if isinstance(v, Call)},
        notes={t: v for (f, t), v in values.items() if f == "note" and isinstance(v, str) and v},
        group=group if isinstance(group, str) else "",
    )


def last_undoable(records: Iterable[Record]) -> Record | None:
    """Return the reader's last change that was not taken back, or None."""
    standing: dict[int, Record] = {}
    for record in records:
        if record.undoes is not None:
            standing.pop(record.undoes, None)
        elif record.field in ("call", "note"):
            standing[record.number] = record
    return next(reversed(standing.values()), None)
