"""Writes the DICOM objects of a report, each complete or absent."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.report.content import ReportContent
from stream.report.dicom.origin import Origin, require_dicom
from stream.report.files import cannot_write, make_folder, write_whole

FOLDER = "dicom"


def write_dicom(
    content: ReportContent,
    folder: Path,
    origin: Origin,
    pdf: bytes | None,
    panels: Sequence[NDArray[np.uint8]],
    deidentify: bool,
) -> tuple[Path, ...]:
    """Write panels, key objects, structured report and PDF below ``dicom``.

    The same content and origin give the same bytes. Objects of an earlier report go first, so
    that the folder never mixes two. Without a key frame to point to there is neither a key object
    selection nor a structured report.

    Parameters
    ----------
    folder : the ``report`` folder of the session
    pdf : the report as PDF, or None
    panels : shape (H, W, 3), uint8 RGB, each; the n-th of them is of the n-th key frame
    deidentify : by the basic profile of PS3.15; nothing then points to the source

    Returns
    -------
    ``panel_1.dcm``..., ``key_objects.dcm``, ``results.dcm``, ``report.dcm``, as written

    Raises
    ------
    UsageError
        If the extra `dicom` is not installed.
    StorageError
        F37 if the folder or a file cannot be written; files already complete stay.
    """
    require_dicom()
    from stream.report.dicom.common import encode

    shown = origin.without_source() if deidentify else origin
    with _uncollected():
        objects = build_objects(content, shown, pdf, panels)
    if deidentify:
        _deidentify(list(objects.values()), origin)
    target = make_folder(folder / FOLDER)
    _clear(target)
    return tuple(write_whole(target / name, encode(ds)) for name, ds in objects.items())


def build_objects(
    content: ReportContent,
    origin: Origin,
    pdf: bytes | None,
    panels: Sequence[NDArray[np.uint8]],
) -> dict[str, Any]:
    """Return the objects by file name; what points comes after what it points to."""
    from stream.report.dicom.evidence import find_shown
    from stream.report.dicom.key_objects import build_key_objects
    from stream.report.dicom.pdf import build_pdf
    from stream.report.dicom.secondary_capture import build_captures
    from stream.report.dicom.structured_report import build_report

    captures = build_captures(content, origin, panels)
    objects = {f"panel_{number}.dcm": ds for number, ds in enumerate(captures, 1)}
    shown = find_shown(origin, content.key_frames, captures)
    if shown:
        objects["key_objects.dcm"] = build_key_objects(content, origin, shown)
        objects["results.dcm"] = build_report(content, origin, shown)
    if pdf is not None:
        objects["report.dcm"] = build_pdf(origin, pdf)
    return objects


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from walking the 22 MB of JSON that highdicom reads meanwhile."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _deidentify(objects: Sequence[Any], origin: Origin) -> None:
    from stream.report.deidentify import deidentify
    from stream.report.dicom.pdf import restore_title

    key = hashlib.sha256(b"deidentify" + origin.session.encode()).digest()
    for ds in objects:
        deidentify(ds, key)
        restore_title(ds)


def _clear(target: Path) -> None:
    """Remove the objects of an earlier report."""
    try:
        for path in target.glob("*.dcm"):
            path.unlink()
    except OSError as error:
        raise cannot_write(target, error) from error
