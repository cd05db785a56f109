"""A folder of stills in natural order, or a single still."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stream.errors import SourceError
from stream.sources.base import Picture, Problem, SourceInfo
from stream.sources.discover import STILL_SUFFIXES, natural_key
from stream.sources.image_pixels import ImageHead, decode_image, read_head
from stream.sources.regular import digest_file, open_regular, shown_name

MAX_FILE_BYTES = 256 << 20

_LISTED = 20


@dataclass(frozen=True, slots=True)
class Still:
    """One image file with the digest it had at opening."""

    path: Path
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds.

    Parameters
    ----------
    stills : files to read, in order
    skipped : names that are no images
    left_out : for each fault, the files that give no picture and why
    """

    stills: tuple[Still, ...]
    skipped: tuple[str, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class ImagesReader:
    """Reader of still images; build it with `open_images`.

    Parameters
    ----------
    info : facts known before the first picture
    listing : files to read, and those that are not read
    reduced : names of images with more than 8 bits
    """

    info: SourceInfo
    listing: Listing
    reduced: list[str] = field(default_factory=list)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems met so far."""
        found = [
            Problem(fault, f"{len(reasons)} images affected: {_listed(reasons)}", partial=True)
            for fault, reasons in sorted(self.listing.left_out.items())
        ]
        if self.reduced:
            text = f"16 bits reduced to the upper 8 in {len(self.reduced)} images: "
            found.append(Problem("V15", text + _listed(self.reduced), partial=False))
        if skipped := self.listing.skipped:
            text = f"{len(skipped)} entries are no images: {_listed(skipped)}"
            found.append(Problem("V02", text, partial=False))
        return tuple(found)

    def pictures(self) -> Iterator[Picture]:
        """Yield every readable image; the others are left out and listed in `problems`.

        Raises
        ------
        SourceError
            If not one image can be decoded.
        """
        shown = 0
        for still in self.listing.stills:
            try:
                picture = self._read(still)
            except SourceError as error:
                _note(self.listing.left_out, error)
                continue
            yield picture
            shown += 1
        if not shown:
            raise _nothing(self.info.name, self.listing.left_out)

    def _read(self, still: Still) -> Picture:
        data = _read_bytes(still.path)
        if hashlib.sha256(data).hexdigest() != still.sha256:
            raise SourceError(still.name, "the file changed since it was opened", fault="V24")
        head = read_head(data, still.name)
        pixels, reduced = decode_image(data, head, still.name)
        if reduced:
            self.reduced.append(still.name)
        if head.pages > 1:
            self.listing.left_out.setdefault("V12", []).append(
                f"{still.name} (the first of {head.pages} pages is used)"
            )
        return Picture(pixels, pts_ns=None)

    def close(self) -> None:
        """Do nothing: no file stays open between pictures."""


def open_images(path: str) -> ImagesReader:
    """Open a folder of stills, without its sub-folders, or one still.

    Raises
    ------
    SourceError
        V01 no image in the folder, V21 not a regular file or folder; for a single image, or when
        every image has one, its own fault: V01, V02, V13, V14 or V15.
    """
    name, place = shown_name(path), Path(path)
    if place.is_dir():
        listing = _list_folder(place, name)
        digest = _digest(listing.stills)
    else:
        listing = Listing((_read_still(place),))
        digest = listing.stills[0].sha256
    head = _first_head(listing, name)
    detail, count = f"{head.format} stills", len(listing.stills)
    info = SourceInfo("images", name, head.size_wh, None, count, detail, digest)
    return ImagesReader(info, listing)


def _list_folder(folder: Path, name: str) -> Listing:
    try:
        paths = sorted(folder.iterdir(), key=lambda path: (natural_key(path.name), path.name))
    except OSError as error:
        problem = f"cannot be listed ({error.strerror})"
        raise SourceError(name, problem, "give a readable folder", fault="V21") from error
    visible = [path for path in paths if _is_candidate(path)]
    skipped = tuple(shown_name(path.name) for path in paths if not _is_candidate(path))
    if not visible:
        problem = f"no image in this folder, {len(skipped)} other entries"
        remedy = f"expected {' '.join(sorted(STILL_SUFFIXES))}"
        raise SourceError(name, problem, remedy, fault="V01")
    stills: list[Still] = []
    left_out: dict[str, list[str]] = {}
    for path in visible:
        try:
            stills.append(_read_still(path, inside=folder))
        except SourceError as error:
            _note(left_out, error)
    return Listing(tuple(stills), skipped, left_out)


def _is_candidate(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in STILL_SUFFIXES


def _read_still(path: Path, inside: Path | None = None) -> Still:
    name = shown_name(str(path))
    if inside is not None and not _lies_inside(path, inside):
        raise SourceError(name, "a link that leads out of the folder", fault="V21")
    with open_regular(str(path)) as file:
        return Still(path, name, digest_file(file))


def _lies_inside(path: Path, folder: Path) -> bool:
    real = os.path.realpath(path)
    return Path(real).is_relative_to(os.path.realpath(folder))


def _read_bytes(path: Path) -> bytes:
    with open_regular(str(path)) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            problem = f"{size >> 20} MiB, at most {MAX_FILE_BYTES >> 20} are read"
            raise SourceError(shown_name(str(path)), problem, "give a smaller image", fault="V14")
        return file.read(size)


def _digest(stills: Sequence[Still]) -> str:
    """Return the sha256 over each name, a zero byte, the file's digest and a line end."""
    total = hashlib.sha256()
    for still in stills:
        total.update(os.fsencode(still.path.name) + b"\0" + still.sha256.encode() + b"\n")
    return total.hexdigest()


def _first_head(listing: Listing, name: str) -> ImageHead:
    refused = {fault: list(reasons) for fault, reasons in listing.left_out.items()}
    for still in listing.stills:
        try:
            return read_head(_read_bytes(still.path), still.name)
        except SourceError as error:
            if len(listing.stills) == 1 and not refused:
                raise
            _note(refused, error)
    raise _nothing(name, refused)


def _nothing(name: str, left_out: dict[str, list[str]]) -> SourceError:
    fault = min(left_out)
    reasons = [reason for found in left_out.values() for reason in found]
    problem = f"not one image can be read: {_listed(reasons)}"
    return SourceError(name, problem, "export the images again", fault=fault)


def _note(left_out: dict[str, list[str]], error: SourceError) -> None:
    left_out.setdefault(error.fault, []).append(f"{error.subject} ({error.problem})")


def _listed(reasons: Sequence[str]) -> str:
    return ", ".join(reasons[:_LISTED]) + (", ..." if len(reasons) > _LISTED else "")
