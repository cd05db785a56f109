"""How many millimetres one pixel of a DICOM picture stands for."""

from __future__ import annotations

import math
import struct

from pydicom.uid import ImplicitVRLittleEndian

from stream.errors import SourceError
from stream.sources.dicom_header import Header
from stream.sources.dicom_layout import Layout, tags_of
from stream.sources.dicom_values import Values
from stream.sources.dicom_walk import read_items

_RANGE_MM = (1e-4, 10.0)
_SAME = 1e-6
_2D, _TISSUE, _CENTIMETRES = 1, 1, 3
_REGION = tags_of(
    (
        *("RegionSpatialFormat", "RegionDataType", "RegionLocationMinX0", "RegionLocationMinY0"),
        *("RegionLocationMaxX1", "RegionLocationMaxY1", "PhysicalUnitsXDirection"),
        *("PhysicalUnitsYDirection", "PhysicalDeltaX", "PhysicalDeltaY"),
    )
)

Spacing = tuple[float, float]


def read_spacing_mm(layout: Layout, header: Header) -> Spacing | None:
    """Return the distance of rows and of columns of the picture as shown, in millimetres.

    It comes from the regions of two-dimensional tissue that are measured in centimetres, else
    from PixelSpacing. Nothing is returned where regions disagree or reach beyond the picture:
    such a picture was scaled after the scanner measured it.

    References
    ----------
    DICOM PS3.3 section C.8.5.5 (US Region Calibration), section 10.7.1 (PixelSpacing).
    """
    try:
        regions = _tissue_regions(layout)
    except SourceError:  # the walk has passed over it, so the pictures are still good
        return None
    if regions:
        stored = _agreed([_region_spacing(region, header) for region in regions])
    else:
        stored = _pixel_spacing(layout)
    if stored is None:
        return None
    width, height = header.shown_wh
    return stored[0] * header.rows / height, stored[1] * header.columns / width


def _tissue_regions(layout: Layout) -> list[Values]:
    value = layout.values.get("SequenceOfUltrasoundRegions", b"")
    implicit = layout.syntax == ImplicitVRLittleEndian
    items = read_items(value, _REGION, implicit=implicit, little=layout.little_endian)
    regions = [Values(item, layout.little_endian) for item in items]
    kind = _2D, _TISSUE
    return [
        r for r in regions if (r.short("RegionSpatialFormat"), r.short("RegionDataType")) == kind
    ]


def _region_spacing(region: Values, header: Header) -> Spacing | None:
    units = {region.short(f"PhysicalUnits{axis}Direction") for axis in "XY"}
    right, bottom = (_number(region, f"RegionLocationMax{end}", "L") for end in ("X1", "Y1"))
    steps = [_number(region, f"PhysicalDelta{axis}", "d") for axis in "YX"]
    if units != {_CENTIMETRES} or right is None or bottom is None or None in steps:
        return None
    if right > header.columns or bottom > header.rows:
        return None
    return _believable(*(abs(step) * 10 for step in steps if step is not None))


def _pixel_spacing(layout: Layout) -> Spacing | None:
    texts = Values(layout.values, layout.little_endian).decimals("PixelSpacing")
    return _believable(*map(float, texts)) if len(texts) == 2 else None


def _believable(row: float, column: float) -> Spacing | None:
    low, high = _RANGE_MM
    good = low <= row <= high and low <= column <= high  # false for NaN too
    return (row, column) if good else None


def _agreed(spacings: list[Spacing | None]) -> Spacing | None:
    first = spacings[0]
    for other in spacings[1:]:
        if first is None or other is None:
            return None
        if not all(math.isclose(a, b, rel_tol=_SAME) for a, b in zip(first, other, strict=True)):
            return None
    return first


def _number(values: Values, keyword: str, code: str) -> float | None:
    """Return a binary number of one value (VR UL or FD), or None."""
    raw = values.raw.get(keyword, b"")
    form = ("<" if values.little_endian else ">") + code
    return float(struct.unpack(form, raw)[0]) if len(raw) == struct.calcsize(form) else None
