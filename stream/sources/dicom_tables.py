"""Tables from stored DICOM samples to what the screen shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.sources.dicom_header import Header
from stream.sources.dicom_values import Values

_PALETTE = "PaletteColorLookupTable"


def build_table(header: Header, values: Values) -> NDArray[np.uint8] | None:
    """Build the table from a stored sample, read as unsigned, to 8-bit grey or RGB.

    Returns
    -------
    shape (2**bits_stored,) grey or (2**bits_stored, 3) RGB; None when stored samples are shown
    as they are

    Raises
    ------
    ValueError
        If the palette is absent, incomplete or inconsistent.
    """
    if header.samples == 3:
        return None
    stored = _stored_values(header)
    if header.photometric == "PALETTE COLOR":
        return _palette(stored, header, values)
    table = _grey(stored, header, values)
    return None if np.array_equal(table, np.arange(256)) else table


def expand_segments(words: NDArray[np.uint16], entries: int) -> NDArray[np.uint16]:
    """Expand a segmented palette with 16-bit entries; stops at `entries`.

    Parameters
    ----------
    words : segments as stored
    entries : length of the result

    Returns
    -------
    shape (entries,)

    Raises
    ------
    ValueError
        If the segments are not valid or too short.

    References
    ----------
    DICOM PS3.3 section C.7.9.2 (discrete, linear and indirect segments).
    """
    data: list[int] = words.tolist()
    table: list[int] = []
    todo = [(0, -1)]  # where to go on, and how many segments an indirect one still copies
    while todo and len(table) < entries:
        position, left = todo.pop()
        if left == 0 or position + 2 >= len(data):
            continue
        kind, length = data[position : position + 2]
        if kind == 2 and left < 0 and position + 3 < len(data):
            todo.append((position + 4, left))
            todo.append(((data[position + 3] << 16 | data[position + 2]) // 2, length))
            continue
        table += _segment(kind, length, data[position + 2 : position + 2 + max(length, 1)], table)
        todo.append((position + 2 + (length if kind == 0 else 1), left - 1))
    if len(table) < entries:
        raise ValueError(f"the segmented palette has {len(table)} entries of {entries}")
    return np.array(table[:entries], np.uint16)


def _segment(kind: int, length: int, data: list[int], before: list[int]) -> list[int]:
    if kind == 0 and length <= len(data):
        return data[:length]
    if kind == 1 and before:
        steps = np.arange(1, length + 1) / max(length, 1)
        return [round(level) for level in before[-1] + (data[0] - before[-1]) * steps]
    raise ValueError(f"the segmented palette has a broken segment of type {kind}")


def _stored_values(header: Header) -> NDArray[np.int64]:
    """Return the meaning of each bit pattern, shape (2**bits_stored,)."""
    values = np.arange(1 << header.bits_stored)
    if header.signed:
        half = 1 << (header.bits_stored - 1)
        values = np.where(values < half, values, values - 2 * half)
    return values


def _grey(stored: NDArray[np.int64], header: Header, values: Values) -> NDArray[np.uint8]:
    """Rescale, then apply the first linear window, or keep the upper 8 bits without one.

    References
    ----------
    DICOM PS3.3 sections C.11.1.1.2 (rescale) and C.11.2.1.2.1 (linear window).
    """
    centre, width = values.decimal("WindowCenter"), values.decimal("WindowWidth")
    if centre is not None and width is not None and width >= 1:
        slope = values.decimal("RescaleSlope")
        modality = stored * (1.0 if slope is None else slope)
        modality = modality + (values.decimal("RescaleIntercept") or 0.0)
        shown = ((modality - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5) * 255
        levels = np.rint(np.clip(shown, 0, 255))
    else:
        levels = (stored - stored.min()) * 256 >> header.bits_stored
    table: NDArray[np.uint8] = levels.astype(np.uint8)
    if header.photometric == "MONOCHROME1":
        table = np.subtract(255, table, dtype=np.uint8)
    return table


def _palette(stored: NDArray[np.int64], header: Header, values: Values) -> NDArray[np.uint8]:
    """Map stored values through the three palettes; entries of 16 bits keep their upper 8.

    References
    ----------
    DICOM PS3.3 sections C.7.6.3.1.5 and C.7.6.3.1.6 (palette descriptor and data).
    """
    columns = []
    for colour in ("Red", "Green", "Blue"):
        descriptor = values.words(f"{colour}{_PALETTE}Descriptor")
        if descriptor.size != 3 or descriptor[2] not in (8, 16):
            raise ValueError(f"{colour}{_PALETTE}Descriptor is {descriptor.tolist()}")
        first = int(descriptor[1].astype(np.int16) if header.signed else descriptor[1])
        entries = _entries(colour, int(descriptor[0]) or 65536, int(descriptor[2]), values)
        columns.append(entries[np.clip(stored - first, 0, entries.size - 1)])
    return np.stack(columns, axis=1)


def _entries(colour: str, count: int, bits: int, values: Values) -> NDArray[np.uint8]:
    keyword = f"{colour}{_PALETTE}Data"
    raw = values.raw.get(keyword, b"")
    if not raw and bits == 16:
        words = expand_segments(values.words("Segmented" + keyword), count)
    elif count <= len(raw) < 2 * count:
        return np.frombuffer(raw, np.uint8, count)
    elif len(raw) >= 2 * count:
        words = values.words(keyword)[:count]
    else:
        raise ValueError(f"{keyword} has {len(raw)} bytes for {count} entries")
    return (words >> 8 if bits == 16 else words).astype(np.uint8)
