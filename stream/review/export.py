"""A reader's labels and their frames as a folder that `stream train` takes as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.exports import read_burned_in
from stream.png import encode_png
from stream.report.cells import guard_cell
from stream.report.content import KeyFrame, ReportContent
from stream.report.files import make_folder, write_whole
from stream.report.privacy import PROVENANCE, ExportPolicy, protect
from stream.review.clip import ReviewClip
from stream.review.pictures import filmed_frames, read_pictures
from stream.review.records import Call, Labels
from stream.review.stored import clip_id, open_stored, read_labels
from stream.session.content import read_content, was_masked
from stream.sources.discover import PHANTOM

FRAMES_PER_CLIP = 10
"""Frames that stand for a clip of which only the whole was labelled, as `stream train` has it."""
COLUMNS = ("file", "label", "group", "source", "reader", "decision", "epoch", "seq", "time_s")
JUDGED = ("clip", "epoch", "seq", "decision", "class", "note", "reader")
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Wish:
    """What is exported, and how.

    Parameters
    ----------
    reader : whose labels
    out : folder to make; an existing one must be empty
    mask, accept_text : as in `stream.report.privacy.ExportPolicy`
    """

    reader: str
    out: Path
    mask: bool = True
    accept_text: str = ""


def export_labels(sessions: Sequence[Path], wish: Wish, tick: Callable[[int], None]) -> int:
    """Write frames.csv, judgements.csv, privacy.txt and images/; return how many frames there are.

    Each frame that the reader accepted or labelled is one row. Of a clip in which no frame was
    judged but the whole was, evenly spaced frames carry its label. Rejected frames are left out.

    Parameters
    ----------
    sessions : their folders
    tick : called with the number of frames written so far

    Raises
    ------
    UsageError
        If there is nothing to export, or the folder is in use.
    ExportRefused
        If a frame may show who the patient is.
    SourceError, StorageError
        If pictures, labels or the folder cannot be read or written.
    """
    read = [_read(folder, wish.reader) for folder in sessions]
    if not any(_chosen(clip, labels) for clip, labels in read):
        problem = f"reader {wish.reader} has given no frame or clip a class"
        raise UsageError("export", problem, "label something, or name another --reader")
    if wish.out.exists() and (not wish.out.is_dir() or any(wish.out.iterdir())):
        raise UsageError(str(wish.out), "is in use", "give a new folder", fault="C08")
    make_folder(wish.out / "images")
    rows, done = list[tuple[object, ...]](), dict[str, None]()
    for clip, labels in read:
        for row, privacy in _write_frames(clip, labels, wish):
            rows.append(row)
            done[f"{clip_id(clip)}: {privacy}"] = None
            tick(len(rows))
    write_whole(wish.out / "privacy.txt", "".join(f"{line}\n" for line in done).encode())
    write_whole(wish.out / "judgements.csv", _table(JUDGED, _judgements(read, wish.reader)))
    write_whole(wish.out / "frames.csv", _table(COLUMNS, rows))
    return len(rows)


def _read(folder: Path, reader: str) -> tuple[ReviewClip, Labels]:
    clip = open_stored(folder)
    return clip, read_labels(clip, reader)


def _chosen(clip: ReviewClip, labels: Labels) -> dict[int, Call]:
    """Return which frames go out, with what they are."""
    if labels.frames:
        index = clip.index
        return {index[place]: call for place, call in labels.frames.items() if call.label}
    if labels.clip is None or not labels.clip.label:
        return {}
    usable = [frame for frame in filmed_frames(clip) if clip.states[frame] != "damaged"]
    spaced = np.linspace(0, len(usable) - 1, FRAMES_PER_CLIP + 2).round().astype(int)[1:-1]
    return {usable[place]: labels.clip for place in sorted(set(spaced.tolist()))}


def _write_frames(
    clip: ReviewClip, labels: Labels, wish: Wish
) -> Iterator[tuple[tuple[object, ...], str]]:
    """Write the pictures of a clip; yield their rows and what was done for privacy."""
    chosen = _chosen(clip, labels)
    if not chosen:
        return
    content, policy = read_content(clip.folder, clip.manifest), _policy(clip, wish)
    source = clip_id(clip)
    wanted = ((i, p.to_image().copy()) for i, p in read_pictures(clip) if i in chosen)
    while batch := list(islice(wanted, _BATCH)):
        keys = [_as_key(clip, index, image) for index, image in batch]
        shown = protect(_with_keys(content, keys), policy)
        for (index, _), key in zip(batch, shown.key_frames, strict=True):
            epoch, seq = clip.places[index]
            name = f"images/{source}_{epoch}_{seq:06d}.png"
            write_whole(wish.out / name, encode_png(key.image))
            call, time = chosen[index], key.time_s
            when = "" if time is None else f"{time:.3f}"
            group = labels.group or source
            judged = (name, call.label, group, source, wish.reader, call.decision)
            yield (*judged, epoch, seq, when), shown.provenance[PROVENANCE]


def _policy(clip: ReviewClip, wish: Wish) -> ExportPolicy:
    manifest = clip.manifest
    return ExportPolicy(
        mask=wish.mask,
        accept_text=wish.accept_text,
        burned_in="" if wish.mask else read_burned_in(manifest),
        synthetic=manifest.input.uri.startswith(PHANTOM),
        masked_before=was_masked(clip.folder, manifest),
    )


def _with_keys(content: ReportContent, keys: Sequence[KeyFrame]) -> ReportContent:
    return replace(content, key_frames=tuple(keys))


def _as_key(clip: ReviewClip, index: int, image: NDArray[np.uint8]) -> KeyFrame:
    """Return a frame in the form in which privacy is enforced."""
    return KeyFrame(
        rank=1,
        seq=clip.places[index][1],
        time_s=clip.time_ns[index] * 1e-9 if clip.has_time else None,
        score=0.0,
        score_parts={},
        reason="",
        probs=np.zeros(len(clip.spec.classes), np.float32),
        shown_class=clip.spec.positive_class,
        image=image,
        saliency=np.zeros(image.shape[:2], np.float32),
    )


def _judgements(
    read: Sequence[tuple[ReviewClip, Labels]], reader: str
) -> Iterator[tuple[object, ...]]:
    """Yield all that a reader said, rejected frames and notes too."""
    for clip, labels in read:
        name = clip_id(clip)
        targets = labels.calls.keys() | labels.notes.keys()
        for target in sorted(targets, key=lambda place: place or (-1, -1)):
            call = labels.calls.get(target)
            said = (call.decision, call.label) if call else ("", "")
            yield (
                name,
                *(target or ("", "")),
                *said,
                guard_cell(labels.notes.get(target, "")),
                reader,
            )


def _table(columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
