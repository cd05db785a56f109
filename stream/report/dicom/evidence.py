"""Which image shows a key frame: the source's own frame, or our panel of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from stream.report.content import KeyFrame
from stream.report.dicom.common import EMPTY_WHEN_UNKNOWN, study_uid
from stream.report.dicom.origin import Origin


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a key frame is seen.

    Parameters
    ----------
    image : dataset with the identifiers of the image
    frame : its frame, from 1; None where it has one frame, or it is not known which
    """

    image: Any
    frame: int | None


def find_shown(origin: Origin, keys: Sequence[KeyFrame], captures: Sequence[Any]) -> list[Shown]:
    """Return where each key frame is seen; where panels are missing, fewer of them."""
    source = origin.source
    if source is None:
        images = [_bare(ds, ds.SeriesInstanceUID, origin) for ds in captures]
        return [Shown(image, None) for _, image in zip(keys, images, strict=False)]
    place = Dataset()
    place.SOPClassUID, place.SOPInstanceUID = source.sop_class, source.sop_instance
    image = _bare(place, source.series, origin)
    return [Shown(image, source.frame_number(key.seq)) for key in keys]


def unique_images(shown: Sequence[Shown]) -> list[Any]:
    """Return each image once, in order."""
    return list({item.image.SOPInstanceUID: item.image for item in shown}.values())


def _bare(place: Any, series: str, origin: Origin) -> Any:
    """Return an image as highdicom wants it: identifiers alone, for it prints odd names."""
    ds = Dataset()
    for keyword in EMPTY_WHEN_UNKNOWN:
        setattr(ds, keyword, "")
    ds.SOPClassUID, ds.SOPInstanceUID = place.SOPClassUID, place.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid(origin), series
    ds.Rows = ds.Columns = 1  # that it is an image; its size goes into no object
    return ds
