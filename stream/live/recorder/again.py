"""Analyses a live session again, from its recording or its source, and compares every decision."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from engines.base import Engine
from engines.pixels import Pixels
from stream.analysis.analyser import Analyser
from stream.analysis.track import Tracked, Tracker
from stream.errors import SourceError
from stream.frame import Frame, FrameId, Prediction
from stream.sector.masker import Masker
from stream.sector.outline import Sector
from stream.session.account import Loss
from stream.session.content import decode_png
from stream.session.journal import open_reading
from stream.session.live_journal import EpochRow, RecordedRow
from stream.session.manifest import JOURNAL, Manifest
from stream.session.record import json_list
from stream.sources.lossless import read_recording
from stream.sources.open import open_source

UNREPEATABLE = frozenset({"failed_infer", "withdrawn"})
"""What a frame ran into live, not what it shows, so nothing to be found again."""


@dataclass(frozen=True, slots=True)
class Again:
    """What a second analysis found.

    Parameters
    ----------
    compared : frames whose decisions were compared
    left_out : frames that failed, were withdrawn, or are in no recording
    differences : one line for each frame with another decision
    lost : frames that live did not analyse, in runs, with the reason
    """

    compared: int
    left_out: int
    differences: tuple[str, ...]
    lost: tuple[Loss, ...]


def analyse_again(folder: Path, manifest: Manifest, engine: Engine) -> Again:
    """Analyse the frames that live analysed, in order, with what it used.

    Parameters
    ----------
    folder : session folder
    manifest : of that session, with `live`
    engine : the one that answered then, by name, precision and model

    Raises
    ------
    SourceError
        If the pictures can be had neither from a recording nor from the source.
    StorageError
        If the journal cannot be read.
    """
    with open_reading(folder / JOURNAL) as db:
        rows = db.execute("SELECT * FROM frames ORDER BY seq").fetchall()
        lost = tuple(Loss(*row) for row in db.execute("SELECT * FROM losses ORDER BY first_seq"))
        starts = {row["seq"] for row in db.execute("SELECT seq FROM events WHERE kind = 'worker'")}
        pictures = Pictures(folder, manifest, db)
        had = pictures.had([row for row in rows if row["state"] not in UNREPEATABLE])
        again = _Repeat(manifest, engine, starts, whole=not pictures.partial)
        differences = [
            line
            for row, pixels in pictures.of(had)
            if (line := again.difference(row, pixels)) is not None
        ]
    return Again(len(had), len(rows) - len(had), tuple(differences), lost)


class _Repeat:
    """The worker of then: a new one begins afresh where a new one began then.

    Labels rest on the frames before; where some of those are missing (`whole` is False), only what
    the model says of each frame is compared.
    """

    def __init__(
        self, manifest: Manifest, engine: Engine, starts: set[int], *, whole: bool
    ) -> None:
        self._analyser, self._manifest = Analyser(engine), manifest
        self._compared = ("state", "probs", "label", "smoothed")[: None if whole else 2]
        self._starts = sorted(starts)
        self._begin()

    def difference(self, row: sqlite3.Row, pixels: Pixels) -> str | None:
        """Analyse a frame; return how its decision differs from the one of then, or None."""
        if self._starts and row["seq"] >= self._starts[0]:
            self._starts = [seq for seq in self._starts if seq > row["seq"]]
            self._begin()
        identity = FrameId("again", row["epoch"], row["seq"])
        captured_ns = row["captured_ns"]
        frame = Frame(identity, pixels, captured_ns, captured_ns, "", _damage(row))
        prediction = self._analyser.step(frame)
        tracked = self._tracker.update(frame, prediction)
        decisions = _decisions(prediction, tracked)
        for name in self._compared:
            if row[name] != decisions[name]:
                place = f"epoch {row['epoch']} seq {row['seq']}"
                return f"{place}: {name} was {row[name]!r}, is {decisions[name]!r}"
        return None

    def _begin(self) -> None:
        self._tracker = Tracker(self._manifest.model.spec, self._manifest.config)


def _damage(row: sqlite3.Row) -> str | None:
    return row["reason"] if row["state"] == "damaged" else None


def _decisions(prediction: Prediction, tracked: Tracked) -> dict[str, str | None]:
    smoothed = tracked.smoothed
    return {
        "state": prediction.state,
        "label": smoothed.label if smoothed else "",
        "probs": json_list(prediction.probs) if prediction.probs is not None else None,
        "smoothed": json_list(smoothed.probs) if smoothed else None,
    }


class ChangedSourceError(SourceError):
    """What the source gives now is not what was analysed."""


class Pictures:
    """The pictures of a session, in order of `seq`.

    Nobody took a digest of a recording that was played as if it were live. So what it gives again
    is compared with what the journal has: the time of every frame, the picture of every key frame.

    Attributes
    ----------
    partial : some frames that were analysed are in no recording, and their source has gone
    """

    def __init__(self, folder: Path, manifest: Manifest, db: sqlite3.Connection) -> None:
        self._folder, self._manifest = folder, manifest
        recorded = (RecordedRow(*row) for row in db.execute("SELECT * FROM recorded"))
        self._recorded = {(row.epoch, row.seq): row for row in recorded}
        kept = db.execute("SELECT epoch, seq, image_png FROM ranked").fetchall()
        self._kept = {(row["epoch"], row["seq"]): row["image_png"] for row in kept}
        self._epochs = [EpochRow(*row) for row in db.execute("SELECT * FROM epochs ORDER BY 1")]

        live = manifest.live
        self._again, self.partial = live is not None and live.repeatable, False

    def had(self, rows: list[sqlite3.Row]) -> list[sqlite3.Row]:
        """Return the rows whose pictures can be had, from the source or from a recording."""
        if self._again:
            return rows
        found = [row for row in rows if (row["epoch"], row["seq"]) in self._recorded]
        if rows and not found:
            name, remedy = self._manifest.input.info.name, "run `stream live` with --record"
            raise SourceError(name, "neither recorded nor to be had again", remedy)
        self.partial = len(found) < len(rows)
        return found

    def of(self, rows: list[sqlite3.Row]) -> Iterator[tuple[sqlite3.Row, Pixels]]:
        """Yield each row with its picture as it left capture.

        Raises
        ------
        ChangedSourceError
            If the source has changed since.
        SourceError
            If the pictures cannot be had.
        """
        yield from self._from_source(rows) if self._again else self._from_recording(rows)

    def _from_recording(self, rows: list[sqlite3.Row]) -> Iterator[tuple[sqlite3.Row, Pixels]]:
        file, place = "", -1
        pictures: Iterator[Pixels] = iter(())
        for row in rows:
            wanted = self._recorded[row["epoch"], row["seq"]]
            if wanted.file != file:
                file, place = wanted.file, -1
                pictures = iter(read_recording(self._folder / file))
            for _ in range(wanted.place - place):
                pixels = _next(pictures, file)
            place = wanted.place
            yield row, pixels

    def _from_source(self, rows: list[sqlite3.Row]) -> Iterator[tuple[sqlite3.Row, Pixels]]:
        """Read the source once for each time it was opened; a format change opens nothing."""
        by_epoch: dict[int, list[sqlite3.Row]] = {}
        for row in rows:
            by_epoch.setdefault(row["epoch"], []).append(row)
        for epoch in self._epochs:
            wanted = by_epoch.get(epoch.epoch, [])
            places = {row["seq"] - epoch.first_seq + epoch.first_index: row for row in wanted}
            sector = _sector_of(epoch)
            masker = Masker(sector) if sector else None
            for index, frame in enumerate(self._frames(max(places, default=-1))):
                if index not in places:
                    continue
                row = places.pop(index)
                pixels = masker.apply(frame.pixels) if masker else frame.pixels
                self._check(row, frame.pts_ns, pixels)
                yield row, pixels
            if places:
                raise self._changed(f"ends before frame {max(places)}")

    def _check(self, row: sqlite3.Row, pts_ns: int | None, pixels: Pixels) -> None:
        seq, png = row["seq"], self._kept.get((row["epoch"], row["seq"]))
        if pts_ns != row["pts_ns"]:
            raise self._changed(f"has frame {seq} at {pts_ns} ns, then at {row['pts_ns']} ns")
        if png is not None and not np.array_equal(decode_png(png), pixels.to_image()):
            raise self._changed(f"shows another picture as frame {seq}")

    def _changed(self, how: str) -> ChangedSourceError:
        name = self._manifest.input.info.name
        remedy = "put the file back that was analysed, or run `stream live` over this one"
        return ChangedSourceError(name, f"is not what was analysed: {how}", remedy)

    def _frames(self, last: int) -> Iterator[Frame]:
        if last < 0:
            return
        with open_source(self._manifest.input.uri, session="again") as source:
            for index, frame in enumerate(source):
                yield frame
                if index == last:
                    return


def _next(pictures: Iterator[Pixels], file: str) -> Pixels:
    pixels = next(pictures, None)
    if pixels is None:
        raise SourceError(file, "the recording is shorter than the journal says")
    return pixels


def _sector_of(epoch: EpochRow) -> Sector | None:
    outline = msgspec.json.decode(epoch.outline, type=tuple[tuple[int, int], ...])
    if not outline:
        return None
    box = msgspec.json.decode(epoch.box_xyxy, type=tuple[int, int, int, int])
    size = msgspec.json.decode(epoch.size_wh, type=tuple[int, int])
    return Sector(box, outline, size)
