"""What is reviewed: the frames of a session as its journal has them, and where reviews lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from engines.spec import ModelSpec
from stream.errors import StorageError
from stream.report.files import make_folder
from stream.review.records import Place
from stream.session.journal import open_reading
from stream.session.manifest import JOURNAL, Manifest, read_manifest
from stream.session.unsealed import settle_unsealed
from stream.sources.writer import TICKS_HZ

MAX_FRAMES = 2_000_000


class KeyPicture(NamedTuple):
    """A key frame of the journal; `cam` holds float32 of shape `cam_shape`, one map per class."""

    rank: int
    place: Place
    image_png: bytes
    cam: bytes
    cam_shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class ReviewClip:
    """A session as a reader sees it; entry i of each tuple is about the i-th frame.

    Parameters
    ----------
    folder, manifest : of the session
    journal : sha256 of the journal, which binds labels to it
    places : epoch and seq, growing
    pts_ns : place in the source, or None
    time_ns : on the media clock
    labels : of the model, smoothed; "uncertain", or "" where it gave none
    states : "ok", or why the frame was not believed
    probs, smoothed : one number per class, or None
    keys : key frames, best first
    """

    folder: Path
    manifest: Manifest
    journal: str
    places: tuple[Place, ...]
    pts_ns: tuple[int | None, ...]
    time_ns: tuple[int, ...]
    labels: tuple[str, ...]
    states: tuple[str, ...]
    probs: tuple[tuple[float, ...] | None, ...]
    smoothed: tuple[tuple[float, ...] | None, ...]
    keys: tuple[KeyPicture, ...]

    @property
    def spec(self) -> ModelSpec:
        """The model's."""
        return self.manifest.model.spec

    @property
    def has_time(self) -> bool:
        """Whether the source has a clock."""
        return any(pts is not None for pts in self.pts_ns)

    @property
    def index(self) -> dict[Place, int]:
        """Return where each frame stands."""
        return {place: number for number, place in enumerate(self.places)}

    @property
    def review_folder(self) -> Path:
        """The folder beside the session for what reviews leave; what is sealed stays as it is."""
        whole = self.folder.resolve()
        return whole.with_name(f"{whole.name}.review")

    def film_ms(self) -> list[int]:
        """Return the time of each frame in the film: that of the clip, and strictly growing."""
        times: list[int] = []
        for time_ns in self.time_ns:
            least = times[-1] + 1 if times else 0
            times.append(max(least, round(time_ns * TICKS_HZ / 1e9)))
        return times


def open_clip(folder: Path) -> ReviewClip:
    """Read a session for review and make the folder for what the review leaves.

    Raises
    ------
    StorageError
        If it is no session, cannot be read, or has no frame.
    """
    manifest = settle_unsealed(folder, read_manifest(folder))
    clip = read_clip(folder, manifest)
    make_folder(clip.review_folder)
    return clip


def read_clip(folder: Path, manifest: Manifest) -> ReviewClip:
    """Read the journal of a session; see `open_clip`."""
    path = folder / JOURNAL
    with open_reading(path) as db:
        rows = db.execute("SELECT * FROM frames ORDER BY epoch, seq").fetchall()
        ranked = db.execute("SELECT * FROM ranked ORDER BY rank").fetchall()
    if not 0 < len(rows) <= MAX_FRAMES:
        problem = f"{len(rows)} frames, expected 1 to {MAX_FRAMES}"
        raise StorageError(str(path), problem, "give another session")
    classes = len(manifest.model.spec.classes)
    try:
        return ReviewClip(
            folder=folder,
            manifest=manifest,
            journal=_digest(path),
            places=tuple((row["epoch"], row["seq"]) for row in rows),
            pts_ns=tuple(row["pts_ns"] for row in rows),
            time_ns=tuple(row["time_ns"] for row in rows),
            labels=tuple(row["label"] for row in rows),
            states=tuple(row["state"] for row in rows),
            probs=tuple(_numbers(row["probs"], classes) for row in rows),
            smoothed=tuple(_numbers(row["smoothed"], classes) for row in rows),
            keys=tuple(
                KeyPicture(
                    row["rank"],
                    (row["epoch"], row["seq"]),
                    row["image_png"],
                    row["cam"],
                    msgspec.json.decode(row["cam_shape"], type=tuple[int, int, int]),
                )
                for row in ranked
            ),
        )
    except (ValueError, TypeError) as error:
        raise StorageError(str(path), f"damaged: {error}") from error


def _numbers(text: str | None, classes: int) -> tuple[float, ...] | None:
    if text is None:
        return None
    values = msgspec.json.decode(text, type=tuple[float, ...])
    if len(values) != classes:
        raise ValueError(f"{len(values)} probabilities for {classes} classes")
    return values


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
