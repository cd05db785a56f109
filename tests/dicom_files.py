"""Builders of small DICOM files, sound and damaged, for tests; everything is synthetic."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

SIZE_WH = (96, 80)
PATIENT = "Planted^Patient"


def grey_frames(count: int, size_wh: tuple[int, int] = SIZE_WH) -> NDArray[np.uint8]:
    """Return smooth grey frames, each different, shape (count, H, W)."""
    width, height = size_wh
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * 2 + y + 7 * i) % 256 for i in range(count)]).astype(np.uint8)


def colour_frames(count: int, size_wh: tuple[int, int] = SIZE_WH) -> NDArray[np.uint8]:
    """Return colour ramps, each different, shape (count, H, W, 3)."""
    width, height = size_wh
    y, x = np.mgrid[:height, :width]
    frames = [np.dstack([x * 2, y * 3, np.full_like(x, 20 * i)]) for i in range(count)]
    return np.stack(frames).astype(np.uint8)


def build_dataset(frames: NDArray[Any], syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    """Return an uncompressed ultrasound multi-frame object of (N, H, W) or (N, H, W, 3) frames."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["test"])
    ds.PatientName, ds.PatientID = PATIENT, "PLANTED-ID"
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames.shape[:3]
    ds.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    ds.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = frames.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    ds.FrameTime = "40"
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    raw = frames.astype(frames.dtype.newbyteorder(order)).tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    return ds


def set_jpeg(ds: Dataset, frames: NDArray[np.uint8]) -> None:
    """Replace the pixel data by baseline JPEG, one fragment per frame."""
    images = [cv2.cvtColor(f, cv2.COLOR_RGB2BGR) if f.ndim == 3 else f for f in frames]
    set_fragments(ds, [cv2.imencode(".jpg", image)[1].tobytes() for image in images])
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    if frames.ndim == 4:
        ds.PhotometricInterpretation = "YBR_FULL_422"


def bare_rgb_jpeg(image: NDArray[np.uint8]) -> bytes:
    """Return a JPEG of RGB components with neither JFIF nor Adobe marker, numbered 1, 2, 3."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=95, keep_rgb=True)
    data = stream.getvalue()
    adobe = data.index(b"\xff\xee")
    data = data[:2] + data[adobe + 16 :]
    data = data.replace(b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0")
    return data.replace(b"R\0G\0B\0", b"\1\0\2\0\3\0")


def set_fragments(ds: Dataset, fragments: list[bytes]) -> None:
    """Replace the pixel data by fragments without an offset table."""
    ds.PixelData = encapsulate(fragments, has_bot=False)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


def change(ds: Dataset, **tags: Any) -> Dataset:
    """Set elements by keyword, without any check; None removes one."""
    for keyword, value in tags.items():
        if value is None:
            ds.pop(keyword, None)
        else:
            setattr(ds, keyword, value)
    return ds


def save(ds: Dataset, path: Path) -> Path:
    """Write a file with preamble and meta group."""
    ds.save_as(path, enforce_file_format=True, overwrite=True)
    return path


def write_frames(path: Path, frames: NDArray[Any], **tags: Any) -> Path:
    """Write an uncompressed multi-frame file with some elements changed."""
    return save(change(build_dataset(frames), **tags), path)


def write_jpeg(path: Path, frames: NDArray[np.uint8], **tags: Any) -> Path:
    """Write a baseline JPEG multi-frame file with some elements changed."""
    ds = build_dataset(frames)
    set_jpeg(ds, frames)
    return save(change(ds, **tags), path)


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """Return one explicit little-endian element, with a length that may lie."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in ("OB", "OW", "SQ", "UN"):
        return head + struct.pack("<HL", 0, size) + value
    return head + struct.pack("<H", size) + value


def nested(depth: int, *, defined: bool) -> bytes:
    """Return sequences inside each other, with defined or undefined lengths."""
    tag, item = 0x00081115, b"\xfe\xff\x00\xe0"
    item_end, end = b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"
    zero, unknown = struct.pack("<L", 0), struct.pack("<L", 0xFFFFFFFF)
    if not defined:
        start = element(tag, "SQ", b"", 0xFFFFFFFF) + item + unknown
        return start * depth + (item_end + zero + end + zero) * depth
    body = b""
    for _ in range(depth):
        body = element(tag, "SQ", item + struct.pack("<L", len(body)) + body)
    return body


def insert_before_rows(data: bytes, inserted: bytes) -> bytes:
    """Put bytes in front of the Rows element of an explicit little-endian file."""
    place = data.index(struct.pack("<HH2s", 0x0028, 0x0010, b"US"))
    return data[:place] + inserted + data[place:]
