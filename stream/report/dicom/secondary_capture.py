"""The panels of a report as Secondary Capture images, one object each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from stream.report.content import KeyFrame, ReportContent
from stream.report.dicom.common import (
    NOT_FOR_DIAGNOSIS,
    Series,
    code,
    fill_common,
    name_instance,
    reference,
    set_all,
)
from stream.report.dicom.origin import Origin

SERIES = Series("OT", 9001, "Sonostream panels")


def build_captures(
    content: ReportContent, origin: Origin, panels: Sequence[NDArray[np.uint8]]
) -> list[Any]:
    """Return one uncompressed RGB Secondary Capture per panel.

    One image per object, and no compression, because every viewer opens that.

    Parameters
    ----------
    panels : shape (H, W, 3), uint8 RGB, each; the n-th of them is of the n-th key frame

    References
    ----------
    DICOM PS3.3 sections A.8.1 (Secondary Capture), C.8.6 (its modules), C.7.6.1 (General Image).
    """
    keys: list[KeyFrame | None] = [*content.key_frames]
    keys += [None] * (len(panels) - len(keys))
    return [
        _build(content, origin, key, (number, panel))
        for number, (key, panel) in enumerate(zip(keys, panels, strict=False), 1)
    ]


def _build(
    content: ReportContent,
    origin: Origin,
    key: KeyFrame | None,
    panel: tuple[int, NDArray[np.uint8]],
) -> Any:
    number, picture = panel
    ds = Dataset()
    ds.SOPClassUID = SecondaryCaptureImageStorage
    fill_common(ds, origin, SERIES, number)
    ds.ConversionType = "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.PatientOrientation = ds.Laterality = ""
    ds.BurnedInAnnotation = origin.burned_in
    ds.ImageComments = NOT_FOR_DIAGNOSIS
    ds.DerivationDescription = _derivation(content, key)
    set_all(ds, origin.lossy)
    if origin.source is not None:
        source = origin.source
        frame = source.frame_number(key.seq) if key else None
        item = reference(source.sop_class, source.sop_instance, frame)
        purpose = code("121322", "DCM", "Source image for image processing operation")
        item.PurposeOfReferenceCodeSequence = [purpose]
        ds.SourceImageSequence = [item]
    _set_pixels(ds, picture)
    name_instance(ds, origin)
    return ds


def _derivation(content: ReportContent, key: KeyFrame | None) -> str:
    if key is None:
        return "Panel of a Sonostream report"
    what = f"Panel of a Sonostream report: frame {key.seq} of the clip, counted from 0"
    return f"{what}, with the saliency of {key.shown_class}"[:1024]


def _set_pixels(ds: Any, image: NDArray[np.uint8]) -> None:
    ds.Rows, ds.Columns, ds.SamplesPerPixel = image.shape
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    data = image.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB"
