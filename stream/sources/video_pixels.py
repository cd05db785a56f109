"""From a decoded video frame to `Pixels`: planes as they are where possible, else RGB."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from engines.pixels import Matrix, Pixels, resize_plane
from stream.errors import SourceError

_PLANAR = frozenset(
    ["gray"] + [f"yuv{j}{layout}p" for j in ("", "j") for layout in (410, 411, 420, 422, 440, 444)]
)
_BT709, _UNSPECIFIED, _BT601 = 1, 2, (5, 6)  # ITU-T H.273 (2021), table 4
_LIMITED, _FULL = 1, 2  # AVColorRange
_PQ, _HLG = 16, 18  # ITU-T H.273 (2021), table 3
_HD_HEIGHT_PX = 720

_side_data: Any = SideDataContainer  # its type stub is wrong
"""Not `frame.side_data`, which makes a cycle: only the garbage collector would free the frame."""


class Turn(NamedTuple):
    """How to bring a coded picture upright: first transpose, then mirror rows or columns."""

    transpose: bool
    flip_x: bool
    flip_y: bool


UPRIGHT = Turn(False, False, False)
_QUARTER_TURNS = {  # counter-clockwise
    90: Turn(True, False, True),
    180: Turn(False, True, True),
    270: Turn(True, True, False),
}


def read_turn(frame: av.VideoFrame, name: str) -> Turn:
    """Read the display matrix of a frame.

    Raises
    ------
    SourceError
        V16 if the matrix is not a multiple of a quarter turn.

    References
    ----------
    ISO/IEC 14496-12 (2022), section 8.3.2.3: (x, y) is multiplied from the left.
    """
    try:
        matrix = bytes(_side_data(frame)[SideDataType.DISPLAYMATRIX])
    except KeyError:
        return UPRIGHT
    except ValueError:  # the frame carries side data that PyAV has no name for, such as EXIF
        return _QUARTER_TURNS.get(frame.rotation % 360, UPRIGHT)
    cells = np.frombuffer(matrix, dtype=f"{_ENDIAN}i4", count=9).tolist()
    a, b, c, d = cells[0], cells[1], cells[3], cells[4]
    if a and d and not b and not c:
        return Turn(False, a < 0, d < 0)
    if b and c and not a and not d:
        return Turn(True, c < 0, b < 0)
    raise SourceError(
        name, f"the rotation {frame.rotation} degrees is unusual", "use quarter turns", fault="V16"
    )


def read_pixels(frame: av.VideoFrame) -> Pixels:
    """Wrap or convert one decoded frame; the planes are valid as long as somebody keeps them.

    8-bit grey and planar YUV keep the decoder's memory. Everything else becomes RGB by
    swscale, alpha over black.
    """
    matrix = _matrix(frame)
    if frame.format.name in _PLANAR and _is_known_matrix(frame):
        return Pixels(tuple(_view(plane) for plane in frame.planes), matrix, _is_full(frame))
    source = Colorspace.ITU709 if matrix == "bt709" else None
    if frame.colorspace == _UNSPECIFIED and matrix == "bt601":
        source = Colorspace.ITU601
    if frame.format.has_palette or any(part.is_alpha for part in frame.format.components):
        rgba = frame.reformat(format="rgba", src_colorspace=source, threads=1)
        return Pixels((_over_black(_packed(rgba, 4)),))
    rgb = frame.reformat(format="rgb24", src_colorspace=source, threads=1)
    return Pixels((_packed(rgb, 3),))


def read_upright(frame: av.VideoFrame, size_wh: tuple[int, int], name: str) -> Pixels:
    """Convert one decoded frame and apply pixel aspect and rotation.

    Parameters
    ----------
    size_wh : from `display_size`
    name : of the source, for the error

    Raises
    ------
    SourceError
        V15 if its pixel format cannot be converted, V16 if its rotation is unusual.
    """
    try:
        return set_upright(read_pixels(frame), read_turn(frame, name), size_wh)
    except (av.FFmpegError, ValueError) as error:
        text = f"pixel format {frame.format.name} cannot be converted"
        raise SourceError(name, text, fault="V15") from error


def set_upright(pixels: Pixels, turn: Turn, size_wh: tuple[int, int]) -> Pixels:
    """Apply pixel aspect and rotation.

    Parameters
    ----------
    pixels : as coded
    turn : from `read_turn`
    size_wh : from `display_size`. Chroma planes stay, for they only need to cover the field.
    """
    if turn == UPRIGHT and size_wh == pixels.shape_hw[::-1]:
        return pixels
    planes = (resize_plane(pixels.planes[0], size_wh), *pixels.planes[1:])
    return Pixels(tuple(_turned(plane, turn) for plane in planes), pixels.matrix, pixels.full_range)


def display_size(size_wh: tuple[int, int], aspect: Fraction | None) -> tuple[int, int]:
    """Return the size with square pixels, to which the shorter axis grows.

    Parameters
    ----------
    size_wh : as coded
    aspect : width of a pixel over its height, or None; what makes less than a pixel of
        difference over the picture is left alone
    """
    width, height = size_wh
    if not aspect or abs(aspect - 1) * max(size_wh) < 1:
        return size_wh
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def describe_loss(frame: av.VideoFrame) -> str | None:
    """Say which depth or range is lost on the way to 8 bits, or return None."""
    bits = max(part.bits for part in frame.format.components)
    if frame.color_trc in (_PQ, _HLG):
        return f"HDR with {bits} bits is shown as plain 8 bits, without tone mapping"
    return f"{bits} bits are reduced to 8" if bits > 8 else None


def _matrix(frame: av.VideoFrame) -> Matrix:
    unknown = frame.colorspace not in (_BT709, *_BT601)
    if frame.colorspace == _BT709 or (unknown and frame.height >= _HD_HEIGHT_PX):
        return "bt709"
    return "bt601"


def _is_known_matrix(frame: av.VideoFrame) -> bool:
    return frame.format.name == "gray" or frame.colorspace in (_BT709, _UNSPECIFIED, *_BT601)


def _is_full(frame: av.VideoFrame) -> bool:
    if frame.format.name == "gray":
        return frame.color_range != _LIMITED
    return frame.color_range == _FULL or frame.format.name.startswith("yuvj")


def _view(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    stride = plane.line_size
    start = 0 if stride > 0 else -stride * (plane.height - 1)
    return np.ndarray((plane.height, plane.width), np.uint8, memoryview(plane), start, (stride, 1))


def _packed(frame: av.VideoFrame, channels: int) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    shape = (frame.height, frame.width, channels)
    return np.ndarray(shape, np.uint8, memoryview(plane), 0, (plane.line_size, channels, 1))


def _over_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rgb, alpha = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), rgba[..., 3]
    if int(alpha.min()) < 255:
        rgb = cv2.multiply(rgb, cv2.merge([alpha, alpha, alpha]), scale=1 / 255)
    return rgb.astype(np.uint8, copy=False)


def _turned(plane: NDArray[np.uint8], turn: Turn) -> NDArray[np.uint8]:
    if turn.transpose:
        plane = plane.swapaxes(0, 1)
    step_y, step_x = -1 if turn.flip_y else 1, -1 if turn.flip_x else 1
    return np.ascontiguousarray(plane[::step_y, ::step_x])


_ENDIAN = "<" if sys.byteorder == "little" else ">"
