"""Capture devices: every fault through a fake camera, the list through a fake driver."""

from __future__ import annotations

import errno
import itertools
import json
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream.devices_command import devices
from stream.errors import SourceError
from stream.sources.live import v4l2
from stream.sources.live.device import Buffer, DeviceGrabber
from stream.sources.live.open import LiveOptions, open_live
from stream.sources.live.patience import Patient, TooLate

pytestmark = pytest.mark.timeout(60)

QUICK = LiveOptions(silence_s=0.4)
FRAME_NS = 33_000_000


class FakeCamera:
    """Gives buffers as told; then it is as if the driver hung."""

    detail, rate_hz = "640x480 MJPG by FAKE", 30.0

    def __init__(self, buffers: Iterator[Buffer] | list[Buffer], present: bool = True) -> None:
        self._buffers, self._present = iter(buffers), present
        self.hang, self.closed = threading.Event(), 0

    def read(self) -> Buffer:
        buffer = next(self._buffers, None)
        if buffer is None:
            self.hang.wait(30)
            raise OSError(errno.ENODEV, "no such device")
        return buffer

    def is_present(self) -> bool:
        return self._present

    def close(self) -> None:
        self.closed += 1


def shot(number: int, stamp_ns: int) -> Buffer:
    image = np.zeros((64, 96, 3), np.uint8)
    image[..., 0], image[..., 2] = number, 200
    return Buffer(image, stamp_ns)


def grabber(*buffers: Buffer, present: bool = True) -> DeviceGrabber:
    return DeviceGrabber(FakeCamera([*buffers], present), "device:0", QUICK)


def loss(source: DeviceGrabber) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.grab()
    return caught.value


def test_pictures_come_as_rgb_with_the_time_of_the_driver():
    source = grabber(shot(7, FRAME_NS), shot(8, 2 * FRAME_NS))
    first, second = source.grab(), source.grab()
    assert first.pixels.planes[0][0, 0].tolist() == [200, 0, 7]
    assert (first.pts_ns, second.pts_ns) == (FRAME_NS, 2 * FRAME_NS)
    assert first.captured_ns < second.captured_ns
    assert (source.info.kind, source.info.repeatable) == ("device", False)


def test_f12_a_repeated_buffer_and_stamp_is_no_picture():
    source = grabber(*[shot(1, 5)] * 4, *[shot(2, 6)] * 3, shot(3, 7))
    assert [source.grab().pts_ns for _ in range(3)] == [5, 6, 7]


def test_f12_a_driver_that_only_repeats_itself_is_lost_in_time():
    source = DeviceGrabber(FakeCamera(itertools.repeat(shot(1, 5))), "device:0", QUICK)
    source.grab()
    begun_s = time.monotonic()
    error = loss(source)
    assert error.fault == "F12" and "repeated one picture" in error.problem
    assert QUICK.silence_s <= time.monotonic() - begun_s < QUICK.silence_s + 5


def test_f15_the_same_picture_with_a_moving_stamp_is_a_picture():
    source = grabber(shot(1, 5), shot(1, 6))
    assert [source.grab().pts_ns for _ in range(2)] == [5, 6]


def test_f19_a_device_without_a_clock_is_believed_and_a_stamp_may_go_back():
    source = grabber(shot(1, 0), shot(2, 0), shot(3, 10**18), shot(4, 5))
    assert [source.grab().pts_ns for _ in range(4)] == [None, None, 10**18, 5]


def test_f11_a_read_that_never_returns_is_lost_in_time():
    camera = FakeCamera([shot(1, 5)])
    source = DeviceGrabber(camera, "device:0", QUICK)
    source.grab()
    begun_s = time.monotonic()
    assert loss(source).fault == loss(source).fault == "F11"
    source.close()
    assert time.monotonic() - begun_s < 10
    camera.hang.set()


def test_f13_a_device_that_was_removed_says_so():
    error = loss(grabber(Buffer(None, 0), present=False))
    assert error.fault == "F13" and "removed" in error.problem


def test_f13_a_device_that_is_there_but_gives_nothing_says_so():
    error = loss(grabber(Buffer(None, 0)))
    assert error.fault == "F13" and "gives no picture" in error.problem


def test_f13_an_error_of_the_driver_is_a_lost_source():
    camera = FakeCamera([], present=False)
    camera.hang.set()
    assert "removed" in loss(DeviceGrabber(camera, "device:0", QUICK)).problem


@pytest.mark.skipif(sys.platform != "linux", reason="the cause is read from /dev")
def test_f13_an_absent_device_is_named_as_such():
    with pytest.raises(SourceError, match="no such device") as caught:
        open_live("device:99")
    assert caught.value.fault == "F13"


def test_v14_a_picture_of_more_than_4096_pixels_is_refused():
    huge = Buffer(np.zeros((64, 4160, 3), np.uint8), 5)
    assert loss(grabber(huge)).fault == "V14"


def test_a_closed_device_is_released_once_and_gives_an_error():
    camera = FakeCamera([shot(1, 5)])
    source = DeviceGrabber(camera, "device:0", QUICK)
    source.close()
    source.close()
    assert "closed" in loss(source).problem and camera.closed == 1


def test_a_patient_call_returns_raises_or_comes_too_late():
    patient, hang = Patient(), threading.Event()
    assert patient.call(lambda: 3, 5) == 3
    with pytest.raises(ZeroDivisionError):
        patient.call(lambda: 1 // 0, 5)
    with pytest.raises(TooLate):
        patient.call(lambda: hang.wait(20), 0.05)
    with pytest.raises(TooLate):
        patient.call(lambda: 3, 5)
    hang.set()
    patient.end_with(lambda: None, 5)


def code_of(letters: str) -> int:
    return int.from_bytes(letters.encode(), "little")


class FakeDriver:
    """Answers as the kernel does: MJPG in two sizes, YUYV in a range, and one node of metadata."""

    def __init__(self, capabilities: int = 0x84200001) -> None:
        self._capabilities = capabilities

    def __call__(self, _fd: int, request: int, buffer: bytearray) -> int:
        index = struct.unpack_from("=I", buffer)[0]
        if request == v4l2.QUERYCAP:
            names = (b"uvcvideo", b"Grabber", b"usb-1")
            struct.pack_into("=16s32s32s3I", buffer, 0, *names, 0, self._capabilities, 0x04200001)
        elif request == v4l2.ENUM_FMT:
            words, letters = self._pick([(b"Motion-JPEG", "MJPG"), (b"YUYV 4:2:2", "YUYV")], index)
            struct.pack_into("=32sI", buffer, 12, words, code_of(letters))
        elif request == v4l2.ENUM_FRAMESIZES:
            self._size(buffer, index)
        else:
            self._interval(buffer, index)
        return 0

    def _size(self, buffer: bytearray, index: int) -> None:
        if struct.unpack_from("=I", buffer, 4)[0] == code_of("MJPG"):
            size_wh = self._pick([(1920, 1080), (640, 480)], index)
            struct.pack_into("=3I", buffer, 8, 1, *size_wh)
        else:
            self._pick([0], index)
            struct.pack_into("=7I", buffer, 8, 3, 320, 1280, 2, 240, 720, 2)

    def _interval(self, buffer: bytearray, index: int) -> None:
        kind = struct.unpack_from("=I", buffer, 4)[0]
        if kind == code_of("MJPG"):
            above, below = self._pick([(1, 30), (1001, 60000)], index)
            struct.pack_into("=3I", buffer, 16, 1, above, below)
        else:
            self._pick([0], index)
            struct.pack_into("=7I", buffer, 16, 3, 1, 30, 1, 5, 1, 30)

    @staticmethod
    def _pick(entries: list, index: int):
        if index >= len(entries):
            raise OSError(errno.EINVAL, "no more")
        return entries[index]


@pytest.fixture
def system(tmp_path: Path) -> tuple[Path, Path]:
    """Two nodes as the system shows them."""
    names, nodes = tmp_path / "names", tmp_path / "dev"
    nodes.mkdir()
    for number in (10, 2):
        (names / f"video{number}").mkdir(parents=True)
        (names / f"video{number}" / "name").write_text(f"Grabber {number}\n")
        (nodes / f"video{number}").touch()
    return names, nodes


def test_the_numbers_of_the_requests_are_those_of_the_kernel():
    # linux/videodev2.h: _IOR('V', 0, 104 bytes), _IOWR('V', 2, 64), ('V', 74, 44), ('V', 75, 52)
    def request(direction: int, number: int, size: int) -> int:
        return direction << 30 | size << 16 | ord("V") << 8 | number

    asked = (v4l2.QUERYCAP, v4l2.ENUM_FMT, v4l2.ENUM_FRAMESIZES, v4l2.ENUM_FRAMEINTERVALS)
    assert asked == (request(2, 0, 104), request(3, 2, 64), request(3, 74, 44), request(3, 75, 52))


def test_devices_are_listed_with_formats_sizes_and_rates(system: tuple[Path, Path]):
    first, second = v4l2.list_devices(*system, FakeDriver())
    assert (first.address, first.name, first.driver) == ("device:2", "Grabber 2", "uvcvideo")
    assert second.address == "device:10"
    assert [(mode.pixel_format, mode.size_wh, mode.rates_hz) for mode in first.modes] == [
        ("MJPG", (1920, 1080), (59.94, 30.0)),
        ("MJPG", (640, 480), (59.94, 30.0)),
        ("YUYV", (320, 240), (30.0, 5.0)),
        ("YUYV", (1280, 720), (30.0, 5.0)),
    ]


def test_a_node_that_gives_no_pictures_is_not_listed(system: tuple[Path, Path]):
    def metadata(fd: int, request: int, buffer: bytearray) -> int:
        FakeDriver()(fd, request, buffer)
        struct.pack_into("=I", buffer, 88, 0x04A00000)
        return 0

    assert v4l2.list_devices(*system, metadata) == ()


def test_a_device_that_cannot_be_asked_is_listed_with_the_reason(system: tuple[Path, Path]):
    (system[1] / "video2").unlink()
    first, second = v4l2.list_devices(*system, FakeDriver())
    assert "No such file" in first.problem and second.problem == ""


def test_a_driver_that_never_ends_its_list_is_cut_short(system: tuple[Path, Path]):
    def endless(fd: int, request: int, buffer: bytearray) -> int:
        struct.pack_into("=I", buffer, 0, 0)
        return FakeDriver()(fd, request, buffer)

    assert len(v4l2.list_devices(*system, endless)[0].modes) <= 64 * 64


def test_the_command_says_plainly_that_there_is_none(monkeypatch, tmp_path: Path, capsys):
    monkeypatch.setattr("stream.devices_command.list_devices", lambda: v4l2.list_devices(tmp_path))
    devices()
    assert "no capture device" in capsys.readouterr().out
    devices(json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_the_command_shows_a_table_and_json(monkeypatch, system: tuple[Path, Path], capsys):
    found = v4l2.list_devices(*system, FakeDriver())
    monkeypatch.setattr("stream.devices_command.list_devices", lambda: found)
    devices()
    shown = capsys.readouterr().out
    assert "device:2" in shown and "1920x1080, 640x480: 59.94, 30" in shown
    devices(json=True)
    assert json.loads(capsys.readouterr().out)[0]["modes"][0]["pixel_format"] == "MJPG"
