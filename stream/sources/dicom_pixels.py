"""From the bytes of one DICOM frame to a picture."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    MPEGTransferSyntaxes,
    RLELossless,
)

from engines.pixels import Pixels, resize_plane
from stream.errors import SourceError
from stream.sources.dicom_codestream import read_codestream
from stream.sources.dicom_frames import DamagedFrameError
from stream.sources.dicom_header import Header

Decoded = tuple[NDArray[Any], str]


@dataclass(frozen=True, slots=True)
class FrameDecoder:
    """Decodes frames of one file.

    Parameters
    ----------
    header : layout of the frames
    table : from `build_table`
    samples : from bytes to samples of shape (H, W) or (H, W, 3) and their colour space
    """

    header: Header
    table: NDArray[np.uint8] | None
    samples: Callable[[bytes, Header], Decoded]

    def decode(self, data: bytes) -> Pixels:
        """Return one frame as grey, RGB or YCbCr planes, with square pixels.

        Raises
        ------
        DamagedFrameError
            If the data cannot be decoded or hold another picture size than the header says.
        """
        samples, photometric = self.samples(data, self.header)
        if samples.shape[:2] != (self.header.rows, self.header.columns):
            raise DamagedFrameError(f"it decodes to shape {samples.shape}")
        return _square(_as_pixels(samples, photometric, self), self.header.shown_wh)


def build_decoder(header: Header, table: NDArray[np.uint8] | None, name: str) -> FrameDecoder:
    """Choose the decoder for the transfer syntax.

    Raises
    ------
    SourceError
        D08 when it is missing.
    """
    syntax = header.syntax
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) and header.bits_stored == 8:
        # Without JFIF or Adobe marker only the DICOM header tells RGB from YCbCr components.
        plugin = header.photometric == "RGB"
        return FrameDecoder(header, table, _plugin_samples if plugin else _jpeg_samples)
    if syntax == RLELossless:
        return FrameDecoder(header, table, _rle_samples)
    if not syntax.is_encapsulated:
        return FrameDecoder(header, table, _native_samples)
    if not _plugin_exists(header):
        problem = f"decoder missing for {syntax.name}, {header.bits_stored} bits"
        video = "extract the video stream and give that file"
        remedy = video if syntax in MPEGTransferSyntaxes else "export the file uncompressed"
        raise SourceError(name, problem, remedy, fault="D08")
    return FrameDecoder(header, table, _plugin_samples)


def _plugin_exists(header: Header) -> bool:
    if header.syntax == JPEGExtended12Bit:
        return False  # pydicom's only free plug-in reads 8 bits
    try:
        return bool(get_decoder(header.syntax).is_available)
    except NotImplementedError:
        return False


def _native_samples(data: bytes, header: Header) -> Decoded:
    """Read uncompressed samples (DICOM PS3.5 section 8.1.1, PS3.3 section C.7.6.3.1.2)."""
    order = "<" if header.little_endian else ">"
    flat = np.frombuffer(data, f"{order}u{header.bits_allocated // 8}")
    if header.words and not header.little_endian and header.bits_allocated == 8:
        if flat.size % 2:
            raise DamagedFrameError("an odd number of bytes in big-endian words")
        flat = flat.reshape(-1, 2)[:, ::-1].ravel()
    rows, columns = header.rows, header.columns
    if header.photometric == "YBR_FULL_422":
        pairs = flat.reshape(rows, columns // 2, 4)
        chroma = np.repeat(pairs[:, :, 2:], 2, axis=1)
        return np.dstack([pairs[:, :, :2].reshape(rows, columns), chroma]), "YBR_FULL"
    if header.samples == 1:
        return flat.reshape(rows, columns), header.photometric
    if header.planar:
        return np.moveaxis(flat.reshape(3, rows, columns), 0, 2), header.photometric
    return flat.reshape(rows, columns, 3), header.photometric


def _rle_samples(data: bytes, header: Header) -> Decoded:
    """Decode byte planes, most significant first, never writing more than a plane.

    References
    ----------
    DICOM PS3.5 annex G. A segment is read as one long PackBits row.
    """
    pixels, sample_bytes = header.rows * header.columns, header.bits_allocated // 8
    count = header.samples * sample_bytes
    try:
        declared, *starts = struct.unpack_from("<16L", data)
        if declared != count:
            raise DamagedFrameError(f"{declared} RLE segments, expected {count}")
        ends = [*starts[1:count], len(data)]
        planes = [
            np.asarray(Image.frombytes("L", (pixels, 1), data[start:end], "packbits", "L"))
            for start, end in zip(starts, ends, strict=False)
        ]
    except (struct.error, ValueError) as error:
        raise DamagedFrameError(f"RLE data damaged ({error})") from error
    stack = np.stack(planes).reshape(header.samples, sample_bytes, -1)
    samples = np.ascontiguousarray(np.moveaxis(stack, 1, 2)).view(f">u{sample_bytes}")
    shaped = samples.reshape(header.samples, header.rows, header.columns)
    return (shaped[0] if header.samples == 1 else np.moveaxis(shaped, 0, 2)), header.photometric


def _jpeg_samples(data: bytes, header: Header) -> Decoded:
    _check_codestream(data, header)
    grey = header.samples == 1
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise DamagedFrameError("JPEG data damaged") from error
    if image is None:
        raise DamagedFrameError("JPEG data damaged")
    return image, header.photometric if grey else "RGB"


def _plugin_samples(data: bytes, header: Header) -> Decoded:
    """Decode through pydicom's plug-ins."""
    _check_codestream(data, header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            samples, found = get_decoder(header.syntax).as_array(
                encapsulate([data]), index=0, raw=True, **_plugin_options(header)
            )
        except (RuntimeError, ValueError, TypeError, struct.error, OSError) as error:
            raise DamagedFrameError("compressed data damaged") from error
    return samples, str(found["photometric_interpretation"])


def _plugin_options(header: Header) -> dict[str, Any]:
    return {
        "rows": header.rows,
        "columns": header.columns,
        "number_of_frames": 1,
        "samples_per_pixel": header.samples,
        "photometric_interpretation": header.photometric,
        "planar_configuration": header.planar,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "pixel_representation": int(header.signed),
        "pixel_keyword": "PixelData",
    }


def _check_codestream(data: bytes, header: Header) -> None:
    found = read_codestream(data)
    seen = (found.rows, found.columns, found.samples)
    expected = (header.rows, header.columns, header.samples)
    if seen != expected or found.bits > header.bits_allocated:
        raise DamagedFrameError(f"it claims {seen} and {found.bits} bits, the header {expected}")


def _as_pixels(samples: NDArray[Any], photometric: str, decoder: FrameDecoder) -> Pixels:
    if samples.ndim == 3 and photometric.startswith("YBR"):
        planes = tuple(np.ascontiguousarray(samples[:, :, i]) for i in range(3))
        return Pixels(planes, "bt601", full_range=True)
    if decoder.table is not None:
        # `astype` keeps the bit pattern of signed samples and drops the byte order.
        patterns = samples.astype(np.uint16) & ((1 << decoder.header.bits_stored) - 1)
        samples = decoder.table[patterns]
    return Pixels((np.ascontiguousarray(samples, np.uint8),))


def _square(pixels: Pixels, size_wh: tuple[int, int]) -> Pixels:
    if pixels.shape_hw == size_wh[::-1]:
        return pixels
    planes = tuple(resize_plane(plane, size_wh) for plane in pixels.planes)
    return Pixels(planes, pixels.matrix, pixels.full_range)
