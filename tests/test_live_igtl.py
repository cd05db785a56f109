"""OpenIGTLink: pictures of a real pyigtl server, and what may go wrong (F14, F19)."""

from __future__ import annotations

import signal
import struct
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from stream.errors import SourceError, UsageError
from stream.sources.live.open import LiveOptions, open_live
from tests import live_senders as senders

pyigtl = pytest.importorskip("pyigtl")

pytestmark = pytest.mark.timeout(60)

QUICK = LiveOptions(open_s=3.0, silence_s=1.0)
PATIENT = LiveOptions(silence_s=10.0)
GREY = np.random.default_rng(5).integers(0, 256, (1, 96, 128), dtype=np.uint8)
EPOCH_S = 1_700_000_000


@pytest.fixture
def server() -> Iterator[object]:
    """A real server; it takes the process's signals, which are given back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    made = pyigtl.OpenIGTLinkServer(port=0, local_server=True)
    try:
        yield made
    finally:
        made.stop()
        for number, handler in kept.items():
            signal.signal(number, handler)


def image(pixels: np.ndarray, stamp_s: float = EPOCH_S, name: str = "Probe") -> object:
    return pyigtl.ImageMessage(pixels, device_name=name, timestamp=stamp_s)


def packed(pixels: np.ndarray, stamp_s: float = EPOCH_S, name: str = "Probe") -> bytes:
    return image(pixels, stamp_s, name).pack()


def loss(port: int, query: str = "") -> SourceError:
    with pytest.raises(SourceError) as caught, _open(port, query, QUICK) as source:
        while True:
            source.grab()
    return caught.value


def _open(port: int, query: str = "", options: LiveOptions = PATIENT):
    return open_live(f"igtl://127.0.0.1:{port}{query}", options)


def test_pictures_of_a_real_server_come_in_order_and_none_is_left_out(server):
    with _open(server.server_address[1], "?device=Probe") as source:
        for number in range(20):
            server.send_message(image(GREY + np.uint8(number), EPOCH_S + number / 8), wait=False)
        pictures = [source.grab() for _ in range(20)]
    assert all(
        np.array_equal(picture.pixels.planes[0], GREY[0] + np.uint8(number))
        for number, picture in enumerate(pictures)
    )
    stamps = [picture.pts_ns - EPOCH_S * 10**9 for picture in pictures]
    assert stamps == pytest.approx([number * 125e6 for number in range(20)], abs=1000)
    captured = [picture.captured_ns for picture in pictures]
    assert captured == sorted(captured)


def test_colour_and_flat_pictures_are_read_and_the_first_device_is_taken():
    colour = np.random.default_rng(6).integers(0, 256, (1, 80, 100, 3), dtype=np.uint8)
    sent = packed(colour) + packed(GREY, name="Other") + packed(GREY[0], EPOCH_S + 1)
    with senders.listening(senders.sends(sent)) as port, _open(port) as source:
        first, second = source.grab(), source.grab()
    assert np.array_equal(first.pixels.planes[0], colour[0])
    assert np.array_equal(second.pixels.planes[0], GREY[0])


@pytest.mark.parametrize(
    ("pixels", "cause"),
    [
        (np.zeros((1, 96, 128), np.uint16), "uint16"),
        (np.zeros((4, 96, 128), np.uint8), "4x96x128"),
        (np.zeros((1, 96, 128, 4), np.uint8), "1x96x128x4"),
        (np.zeros((1, 8, 128), np.uint8), "128x8"),
        (np.zeros((1, 8, 5000), np.uint8), "5000x8"),
    ],
)
def test_other_pictures_are_refused_with_the_reason(pixels: np.ndarray, cause: str):
    with senders.listening(senders.sends(packed(pixels))) as port:
        assert cause in loss(port).problem


def test_f12_a_message_with_the_same_stamp_is_no_new_picture():
    sent = packed(GREY) * 3 + packed(GREY, EPOCH_S + 1)
    with senders.listening(senders.sends(sent)) as port, _open(port) as source:
        assert [source.grab().pts_ns for _ in range(2)] == [EPOCH_S * 10**9, (EPOCH_S + 1) * 10**9]


def test_f19_a_stamp_that_is_absent_or_goes_back_passes_through():
    sent = packed(GREY, 0) * 2 + packed(GREY, EPOCH_S) + packed(GREY, 5)
    with senders.listening(senders.sends(sent)) as port, _open(port) as source:
        stamps = [source.grab().pts_ns for _ in range(4)]
    assert stamps == [None, None, EPOCH_S * 10**9, 5 * 10**9]


SENT = packed(GREY)
HUGE = struct.pack(">H12s20sIIQQ", 1, b"IMAGE", b"Probe", 0, 0, 1 << 40, 0)
FAULTS = {
    "silent": (senders.silent, "silent: no picture came"),
    "closed": (senders.sends(SENT), "closed by the sender"),
    "half-open": (senders.sends(SENT + SENT[:2000], then=senders.silent), "silent"),
    "cut": (senders.sends(SENT[:2000]), "closed by the sender"),
    "garbage": (senders.garbage, "not OpenIGTLink"),
    "huge": (senders.sends(HUGE, then=senders.silent), "a message of 1099511627776 bytes"),
    "damaged": (
        senders.sends(SENT[:61] + b"\x63" + SENT[62:], then=senders.silent),
        "damaged IMAGE",
    ),
    "in parts": (senders.sends(SENT[:118] + b"\1" + SENT[119:], then=senders.silent), "parts"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_f14_a_lost_scanner_has_its_cause_by_name(fault: str):
    serve, cause = FAULTS[fault]
    with senders.listening(serve) as port:
        error = loss(port, "?device=Probe")
    assert cause in error.problem and error.fault == "F14"


def test_f14_a_port_without_a_listener_refuses():
    assert "refused" in loss(senders.free_port()).problem


def test_f14_a_wrong_device_name_lists_those_that_send():
    serve = senders.sends(
        packed(GREY, name="Left") + packed(GREY, name="Right"), then=senders.silent
    )
    with senders.listening(serve) as port:
        assert "only of Left, Right" in loss(port, "?device=Probe").problem


def test_close_from_another_thread_ends_a_grab_under_way():
    with senders.listening(senders.silent) as port:
        source, ended = _open(port), threading.Event()

        def take() -> None:
            with pytest.raises(SourceError):
                source.grab()
            ended.set()

        reader = threading.Thread(target=take)
        reader.start()
        source.close()
        source.close()
        reader.join(8)
    assert ended.is_set()


def test_without_pyigtl_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyigtl", None)
    with pytest.raises(UsageError, match=r"sonostream\[igtl\]"):
        _open(1)
