"""Pictures from a research scanner by OpenIGTLink; the messages are read by pyigtl."""

from __future__ import annotations

import logging
import socket
import struct
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.clock import now_ns
from stream.closing import Closing
from stream.errors import SourceError, UsageError
from stream.sources.live.address import endpoint_of, shown_address
from stream.sources.live.base import Grabbed, LiveInfo
from stream.sources.live.feed import connect
from stream.sources.live.options import LiveOptions
from stream.sources.live.progress import is_new_buffer
from stream.sources.video_checks import MAX_SIDE_PX, check_size

_FAULT = "F14"
_MAX_BODY_BYTES = 3 * MAX_SIDE_PX**2 + (1 << 20)
_MAX_NAMES = 5
_log = logging.getLogger(__name__)


class _Message(NamedTuple):
    """Header fields as pyigtl reads them, and the body."""

    fields: dict[str, Any]
    body: bytearray
    arrived_ns: int


class IgtlGrabber(Closing):
    """The IMAGE messages of one device; see `stream.sources.live.base.Grabber`.

    pyigtl's own client keeps only the newest message and does not notice a closed connection, so
    the connection is ours: every picture is seen and every loss has a cause.

    Parameters
    ----------
    address : ``igtl://host:port?device=Name``; without a name the first device that sends pictures
    options : time limits

    Raises
    ------
    SourceError
        F14: refused or no answer.
    UsageError
        If the address lacks its host, or pyigtl is not installed.
    """

    def __init__(self, address: str, options: LiveOptions) -> None:
        self._name, self._silence_s = shown_address(address), options.silence_s
        self._messages = _load_pyigtl(self._name)
        place = endpoint_of(address)
        self._device = place.device
        self._others: dict[str, None] = {}
        self._stamp_ns: int | None = None
        self._socket = connect(place, self._name, options.open_s)
        detail = f"IMAGE of {self._device or 'the first device'}"
        self._info = LiveInfo("igtl", self._name, detail, None, repeatable=False)

    @property
    def info(self) -> LiveInfo:
        """Facts known once it is open."""
        return self._info

    def grab(self) -> Grabbed:
        """Wait for the next picture of the device.

        Raises
        ------
        SourceError
            F14: closed, silent, not OpenIGTLink, or a picture of a kind that is not read.
        """
        until_s = time.monotonic() + self._silence_s
        while True:
            message = self._receive(until_s)
            if not self._is_ours(message.fields):
                continue
            picture = self._picture(message)
            stamp_ns = picture.pts_ns or 0
            if is_new_buffer(self._stamp_ns, stamp_ns):
                self._stamp_ns = stamp_ns
                return picture

    def close(self) -> None:
        """End the connection; a grab under way ends with an error."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            _log.debug("%s: the other side was first to close", self._name)
        self._socket.close()

    def _receive(self, until_s: float) -> _Message:
        header = self._read(int(self._messages.MessageBase.IGTL_HEADER_SIZE), until_s)
        try:
            fields = self._messages.MessageBase.parse_header(bytes(header))
        except (struct.error, ValueError) as error:
            raise self._lost("not OpenIGTLink") from error
        size = int(fields["body_size"])
        if not 0 < fields["header_version"] <= 3 or size > _MAX_BODY_BYTES:
            raise self._lost(f"not OpenIGTLink, or a message of {size} bytes")
        return _Message(fields, self._read(size, until_s), now_ns())

    def _read(self, count: int, until_s: float) -> bytearray:
        """Return exactly so many bytes."""
        data = bytearray(count)
        view, have = memoryview(data), 0
        while have < count:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise self._silent()
            try:
                self._socket.settimeout(left_s)
                got = self._socket.recv_into(view[have:])
            except TimeoutError:
                continue
            except OSError:  # reset, or closed by us
                got = 0
            if not got:
                raise self._lost("closed by the sender")
            have += got
        return data

    def _is_ours(self, fields: dict[str, Any]) -> bool:
        if fields["message_type"] != "IMAGE":
            return False
        self._device = self._device or str(fields["device_name"])
        if fields["device_name"] == self._device:
            return True
        if len(self._others) < _MAX_NAMES:
            self._others[str(fields["device_name"])[:20]] = None
        return False

    def _picture(self, message: _Message) -> Grabbed:
        image = self._messages.ImageMessage()
        try:
            image.unpack(message.fields, message.body)
        except NotImplementedError as error:
            raise self._lost("sends parts of pictures, which are not read") from error
        except (struct.error, ValueError, KeyError, IndexError) as error:
            raise self._lost(f"a damaged IMAGE message ({str(error)[:80]})") from error
        plane = self._plane(np.asarray(image.image))
        stamp_ns = round(float(message.fields["timestamp"]) * 1e9)
        return Grabbed(Pixels((plane,)), message.arrived_ns, stamp_ns or None)

    def _plane(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Return (H, W) or (H, W, 3) of an array (k, j, i) or (k, j, i, parts)."""
        colour = image.ndim == 4 and image.shape[3] == 3
        sides = [side for side in image.shape[:3] if side != 1]
        if image.dtype != np.uint8 or len(sides) != 2 or (image.ndim == 4 and not colour):
            kind = f"{'x'.join(map(str, image.shape))} of {image.dtype}"
            problem = f"its pictures are {kind}, not one grey or RGB slice of uint8"
            raise SourceError(self._name, problem, "change what the scanner sends", fault=_FAULT)
        flat = image.reshape(sides + [3] * colour)
        check_size(flat.shape[1], flat.shape[0], self._name)
        return flat

    def _silent(self) -> SourceError:
        if self._others:
            names = ", ".join(self._others)
            return self._lost(f"silent: no picture of {self._device!r}, only of {names}")
        return self._lost(f"silent: no picture came for {self._silence_s:g} s")

    def _lost(self, cause: str) -> SourceError:
        return SourceError(self._name, cause, "check the sender", fault=_FAULT)


def _load_pyigtl(name: str) -> Any:
    try:
        from pyigtl import messages
    except ImportError as error:
        remedy = "pip install sonostream[igtl]"
        raise UsageError(name, "pyigtl is not installed", remedy) from error
    return messages
