"""What a reader may do with a clip: checks an action, records it, and says what stands then."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.closing import Closing
from stream.review.clip import ReviewClip
from stream.review.maker import Maker
from stream.review.records import (
    MAX_NOTE,
    Call,
    Labels,
    Record,
    Target,
    labels_of,
    last_undoable,
)
from stream.review.trail import Change, Trail, trail_path

_Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page asks for.

    Parameters
    ----------
    what : "clear" takes a judgement away, "undo" the last action
    target : epoch and seq of a frame, or null for the clip; of no account for "undo"
    value : class name for "label", text for "note"
    """

    what: Literal["accept", "reject", "label", "clear", "note", "undo"]
    target: tuple[_Count, _Count] | None = None
    value: Annotated[str, Meta(max_length=MAX_NOTE)] = ""


class RefusedAction(Exception):  # noqa: N818 - an answer, not a fault
    """An action that cannot be done; the text says why."""


class Desk(Closing):
    """One reader at one clip.

    Parameters
    ----------
    clip : what is reviewed
    reader : name for the trail
    blind : the reader sees nothing of the model
    maker : knows what the film shows by now

    Raises
    ------
    UsageError, StorageError
        As `trail_path` and `Trail`.
    """

    def __init__(self, clip: ReviewClip, reader: str, maker: Maker, *, blind: bool) -> None:
        self.clip, self.reader, self.blind = clip, reader, blind
        self._maker, self._lock = maker, threading.Lock()
        self._index = clip.index
        self._pictured = {key.place for key in clip.keys}
        self._trail = Trail(trail_path(clip.review_folder, reader), clip.journal)
        about = "blind to the model" if blind else "with the model's output"
        self._trail.add(Change(what="open", about=about))

    def labels(self) -> Labels:
        """Return what stands."""
        return labels_of(self._trail.records)

    def name_group(self, group: str) -> None:
        """Record who the clip shows, unless that stands already."""
        if self.labels().group != group:
            self._trail.add(Change(what="group", field="group", new=group))

    def act(self, action: Action) -> Record:
        """Do what the page asks for and return the record of it, which is then on the disk.

        Raises
        ------
        RefusedAction
            If it cannot be done.
        StorageError
            If it cannot be written.
        """
        with self._lock:
            return self._trail.add(self._undo() if action.what == "undo" else self._change(action))

    def close(self) -> None:
        """Let others review under this name."""
        self._trail.close()

    def _undo(self) -> Change:
        last = last_undoable(self._trail.records)
        if last is None:
            raise RefusedAction("nothing to undo")
        return Change(
            what="undo", target=last.target, field=last.field, new=last.old, undoes=last.number
        )

    def _change(self, action: Action) -> Change:
        target = self._target(action.target)
        if action.what == "note":
            text = action.value.strip() or None
            return Change(what="note", target=target, field="note", new=text)
        return Change(what=action.what, target=target, field="call", new=self._call(action))

    def _call(self, action: Action) -> Call | None:
        if action.what == "clear":
            return None
        if action.what == "reject":
            return Call("rejected")
        if action.what == "accept":
            return Call("accepted", self._said(action.target))
        if action.value not in self.clip.spec.classes:
            raise RefusedAction(f"{action.value!r} is not a class of the model")
        return Call("labelled", action.value)

    def _said(self, target: Target) -> str:
        """Return the class that the model gave, which can be accepted."""
        if self.blind:
            raise RefusedAction("blind to the model: there is nothing to accept, give a class")
        clip = self.clip
        label = clip.manifest.verdict.label if target is None else clip.labels[self._index[target]]
        if label not in clip.spec.classes:
            said = f"said {label!r}" if label else "gave no label"
            raise RefusedAction(f"the model {said} here: give a class")
        return label

    def _target(self, target: Target) -> Target:
        """Refuse a frame that is not of this clip, or that the reader cannot have seen."""
        if target is None:
            return None
        if target not in self._index:
            raise RefusedAction(f"frame {target[0]}:{target[1]} is not of this clip")
        filmed = self._maker.shows(self._index[target])
        if not (filmed or (target in self._pictured and not self.blind)):
            raise RefusedAction("this frame cannot be seen yet")
        return target
