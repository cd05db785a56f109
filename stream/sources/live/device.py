"""Pictures from a capture device through OpenCV; believed only while their time moves on."""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.clock import now_ns
from stream.closing import Closing
from stream.errors import SourceError, UsageError
from stream.sources.live.address import device_number
from stream.sources.live.base import Grabbed, LiveInfo
from stream.sources.live.options import LiveOptions
from stream.sources.live.patience import Patient, TooLate
from stream.sources.live.progress import is_new_buffer
from stream.sources.video_checks import check_size

REPEAT_WAIT_S = 0.002
"""Between two reads of a driver that repeats itself without waiting."""
_log = logging.getLogger(__name__)
_SEE = "see `stream devices`"


class Buffer(NamedTuple):
    """What a device gave: (H, W, 3) BGR or (H, W), or None; stamp 0 where there is no clock."""

    image_bgr: NDArray[np.uint8] | None
    stamp_ns: int


class Camera(Protocol):
    """A device as its driver shows it; every call may block for as long as the driver likes."""

    detail: str
    rate_hz: float | None

    def read(self) -> Buffer:
        """Return what the driver calls the next picture."""
        ...

    def is_present(self) -> bool:
        """Tell whether the device is still plugged in."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class DeviceGrabber(Closing):
    """Pictures of one camera; see `stream.sources.live.base.Grabber`.

    Parameters
    ----------
    camera : an open device
    name : for people
    options : `silence_s`
    """

    def __init__(self, camera: Camera, name: str, options: LiveOptions) -> None:
        self._camera, self._name, self._silence_s = camera, name, options.silence_s
        self._info = LiveInfo("device", name, camera.detail, camera.rate_hz, repeatable=False)
        self._patient = Patient()
        self._stamp_ns: int | None = None
        self._closed = threading.Event()

    @property
    def info(self) -> LiveInfo:
        """Facts known once it is open."""
        return self._info

    def grab(self) -> Grabbed:
        """Wait for a buffer that is not the one before.

        Raises
        ------
        SourceError
            F11 if the driver does not answer, F12 if it repeats one buffer, F13 if the device is
            gone or gives nothing; V13 or V14 by the size of a picture.
        """
        until_s, repeats = time.monotonic() + self._silence_s, 0
        while not self._closed.is_set():
            buffer = self._read(until_s, repeats)
            captured_ns = now_ns()
            if buffer.image_bgr is None:
                raise self._failed("the device gives no picture", "F13")
            if is_new_buffer(self._stamp_ns, buffer.stamp_ns):
                self._stamp_ns = buffer.stamp_ns
                return self._picture(buffer.image_bgr, buffer.stamp_ns, captured_ns)
            repeats += 1
            self._closed.wait(REPEAT_WAIT_S)
        raise SourceError(self._name, "was closed")

    def close(self) -> None:
        """Release the device, after the read under way; a driver that hangs keeps it."""
        if not self._closed.is_set():
            self._closed.set()
            self._patient.end_with(self._camera.close, self._silence_s)

    def _read(self, until_s: float, repeats: int) -> Buffer:
        problem, fault = f"the driver did not answer in {self._silence_s:g} s", "F11"
        if repeats:
            times = f"{repeats} times in {self._silence_s:g} s"
            problem, fault = f"the driver repeated one picture {times}", "F12"
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise self._failed(problem, fault)
        try:
            return self._patient.call(self._camera.read, left_s)
        except TooLate:
            _log.debug("%s: a read was given up", self._name)
        except (OSError, cv2.error) as error:
            problem, fault = f"the driver failed ({str(error)[:80]})", "F13"
        raise self._failed(problem, fault)

    def _failed(self, problem: str, fault: str) -> SourceError:
        """Return the error of a device that is there, or that it was removed."""
        if not self._camera.is_present():
            problem, fault = "the device was removed", "F13"
        return SourceError(self._name, problem, "check its cable, or plug it in again", fault=fault)

    def _picture(self, image_bgr: NDArray[np.uint8], stamp_ns: int, at_ns: int) -> Grabbed:
        height, width = image_bgr.shape[:2]
        check_size(width, height, self._name)
        image = image_bgr if image_bgr.ndim == 2 else cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
        pixels = Pixels((image.astype(np.uint8, copy=False),))
        return Grabbed(pixels, at_ns, stamp_ns if stamp_ns > 0 else None)


class OpenCvCamera:
    """A device through OpenCV, V4L2 on Linux.

    Parameters
    ----------
    number : N of ``/dev/videoN``
    name : subject of errors
    options : wanted size, rate and pixel format

    Raises
    ------
    SourceError
        F13 if the device is absent, may not be opened, or gives no pictures.
    UsageError
        If it does not give what is wanted.
    """

    def __init__(self, number: int, name: str, options: LiveOptions) -> None:
        self._node = Path(f"/dev/video{number}") if sys.platform == "linux" else None
        self._check_node(name)
        backend = cv2.CAP_V4L2 if self._node else cv2.CAP_ANY
        self._capture = cv2.VideoCapture(number, backend, _wishes(options))
        if not self._capture.isOpened():
            problem = "cannot be used: another program holds it, or it gives no pictures"
            raise SourceError(name, problem, _SEE, fault="F13")
        size_wh = self._get(cv2.CAP_PROP_FRAME_WIDTH), self._get(cv2.CAP_PROP_FRAME_HEIGHT)
        code = _letters(self._get(cv2.CAP_PROP_FOURCC))
        if options.size_wh not in (None, size_wh) or options.pixel_format not in ("", code):
            self.close()
            given = f"gives {size_wh[0]}x{size_wh[1]} {code}, not what is wanted"
            raise UsageError(name, given, _SEE)
        self.rate_hz = self._capture.get(cv2.CAP_PROP_FPS) or None
        self.detail = f"{size_wh[0]}x{size_wh[1]} {code} by {self._capture.getBackendName()}"

    def read(self) -> Buffer:
        """Return the next picture with the driver's own time."""
        good, image = self._capture.read()
        stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        return Buffer(image.astype(np.uint8, copy=False) if good else None, max(0, stamp_ns))

    def is_present(self) -> bool:
        """Tell whether the device file is there; believed where there is none."""
        return self._node is None or self._node.exists()

    def close(self) -> None:
        """Release the device."""
        self._capture.release()

    def _get(self, what: int) -> int:
        return int(self._capture.get(what))

    def _check_node(self, name: str) -> None:
        """Name the cause that OpenCV keeps to itself."""
        if self._node is None:
            return
        try:
            self._node.open("rb", buffering=0).close()
        except FileNotFoundError:
            problem, remedy = "there is no such device", f"plug it in, or {_SEE}"
        except PermissionError:
            problem, remedy = "may not be opened by this user", "join the group video"
        except OSError as error:
            problem, remedy = f"cannot be opened ({error.strerror})", _SEE
        else:
            return
        raise SourceError(name, problem, remedy, fault="F13")


def open_device(address: str, options: LiveOptions) -> DeviceGrabber:
    """Open ``device:N`` or ``/dev/videoN``; errors as `OpenCvCamera`."""
    return DeviceGrabber(OpenCvCamera(device_number(address), address, options), address, options)


def _wishes(options: LiveOptions) -> list[int]:
    """Return properties and values: one buffer, so that no picture is old when it comes."""
    wishes = [cv2.CAP_PROP_BUFFERSIZE, 1]
    if options.pixel_format:
        code = cv2.VideoWriter.fourcc(*options.pixel_format)
        wishes += [cv2.CAP_PROP_FOURCC, code]
    if options.size_wh:
        wishes += [cv2.CAP_PROP_FRAME_WIDTH, options.size_wh[0]]
        wishes += [cv2.CAP_PROP_FRAME_HEIGHT, options.size_wh[1]]
    if options.rate_hz:
        wishes += [cv2.CAP_PROP_FPS, round(options.rate_hz)]
    return wishes


def _letters(code: int) -> str:
    return (code & 0xFFFFFFFF).to_bytes(4, "little").decode("ascii", "replace").rstrip("\0")
