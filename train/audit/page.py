"""Writes an audit as JSON and as one HTML page that needs no network, script or other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import msgspec
import numpy as np

from engines.pixels import resize_plane
from stream.errors import SourceError
from train.audit.content import Audit, Pair
from train.audit.summary import (
    count_problems,
    describe_copies,
    describe_hidden,
    describe_text,
    printable,
)
from train.data.loader import read_samples
from train.data.samples import Sample
from train.scoring.report import write_file

SIDE_PX, QUALITY = 220, 80
PICTURED, LISTED, OF_ONE_FILE = 24, 100, 2


@dataclass(frozen=True, slots=True)
class _Pictured:
    """A pair with its two pictures as data URIs."""

    pair: Pair
    pictures: tuple[str, str]


def write_audit(audit: Audit, folder: Path) -> None:
    """Write audit.json and audit.html.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    write_file(folder / "audit.json", msgspec.json.format(msgspec.json.encode(audit), indent=2))
    write_file(folder / "audit.html", encode_page(audit))


def encode_page(audit: Audit) -> bytes:
    """Render the page; pictures are of pairs of different files, at most two of each file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("train.audit", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    css = environment.get_template("audit.css").render()
    page = environment.get_template("audit.html").render(
        audit=audit,
        problems=count_problems(audit),
        style_digest=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        copies={
            "Byte copies": describe_copies(audit.byte_copies),
            "Near copies": describe_copies(audit.near_copies),
        },
        text=describe_text(audit),
        hidden=describe_hidden(audit.hidden) if audit.hidden else "",
        pictured=[_draw(pair, Path(audit.root)) for pair in _choose(audit.pairs)],
        listed=audit.pairs[:LISTED],
    )
    return page.encode()


def _choose(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the worst pairs of different files, no file in more than two of them.

    Frames of one clip are alike, and one clip should not fill the page.
    """
    chosen: list[Pair] = []
    seen: dict[str, int] = {}
    for pair in pairs:
        if len(chosen) == PICTURED:
            break
        one, other = pair.files
        if one != other and max(seen.get(one, 0), seen.get(other, 0)) < OF_ONE_FILE:
            chosen.append(pair)
            for file in pair.files:
                seen[file] = seen.get(file, 0) + 1
    return chosen


def _draw(pair: Pair, root: Path) -> _Pictured:
    first, second = (
        _picture(root / file, index) for file, index in zip(pair.files, pair.frames, strict=True)
    )
    return _Pictured(pair, (first, second))


def _picture(path: Path, index: int) -> str:
    """Return a frame as a data URI, empty when it cannot be read any more."""
    try:
        ((_, pixels),) = read_samples([Sample(str(path), index, 0, "", "", "")])
    except SourceError:
        return ""
    image = pixels.to_image()
    scale = SIDE_PX / max(image.shape[:2])
    size_wh = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    small = resize_plane(image, size_wh)
    stored = small if small.ndim == 2 else np.ascontiguousarray(small[..., ::-1])
    _, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
