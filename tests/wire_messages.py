"""Builders of live messages, a raw ZeroMQ peer that says anything, and waiting with a deadline."""

import socket
import struct
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engines.pixels import Pixels
from stream.live.wire.messages import FrameHeader, Note, PixelLayout, ResultHeader
from stream.live.wire.payload import Arrays, layout_of, shape_of

LAYOUT = PixelLayout(shapes=((8, 12),), matrix="bt601", full_range=True)
OF_FRAME = {"session": "s", "epoch": 0, "host": "h", "captured_ns": 5, "pts_ns": None}
RESULT = {
    "worker": 0,
    "number": 0,
    "state": "ok",
    "reason": "",
    "label": "a",
    "distance": 0.5,
    "preprocess_ns": 1,
    "engine_ns": 1,
    "done_ns": 9,
    "model_digest": "d",
    "engine": "e",
}


def make_header(seq=1, *, layout=LAYOUT, slot=0, **changes):
    """Return a frame's header; its pixels lie in a slot unless `slot` is None."""
    given = {"before": seq - 1, "period_ns": 1, "damage": None, "frozen": False, "masked": True}
    facts = OF_FRAME | given | {"seq": seq, "source": "x"} | changes
    return FrameHeader(**facts, pixels=layout, slot=slot)


def make_frame(seq=1, pixels=None, **changes):
    """Return a header and its planes, which travel with it."""
    pixels = pixels or Pixels((np.arange(96, dtype=np.uint8).reshape(8, 12),))
    return make_header(seq, layout=layout_of(pixels), slot=None, **changes), pixels.planes


def make_result(arrays, pixels=None, **changes):
    """Return the header of a result with these arrays."""
    names = ("probs", "smoothed", "cam", "features")
    shapes = {name: shape_of(getattr(arrays, name)) for name in names}
    layout = layout_of(pixels) if pixels else None
    return ResultHeader(**(OF_FRAME | {"seq": 1} | RESULT | shapes | changes), pixels=layout)


def make_arrays(rng):
    """Return arrays of two classes."""
    red = rng.random(dtype=np.float32)
    probs = np.array([red, 1 - red], np.float32)
    cam, features = rng.random((2, 3, 4), np.float32), rng.random(5, np.float32)
    return Arrays(probs, probs[::-1].copy(), cam, features)


def make_note(text="hello", session="s"):
    """Return a note."""
    return Note(session=session, role="worker", kind="k", text=text, epoch=0, seq=0)


def wait_until(fact, seconds=20):
    """Call `fact` until it is true; tell whether it came true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if fact():
            return True
    return False


def count_fds():
    """Return how many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""ZMTP 3.0, RFC 23, section "Connection greeting"."""


def zmtp(body, *, more=False):
    """Return one part as it travels."""
    return bytes([more | 2]) + struct.pack(">Q", len(body)) + body


def shake_hands(peer, kind):
    """Speak the handshake of ZMTP 3.0 without security on a connected stream."""
    peer.settimeout(20)
    peer.sendall(GREETING)
    _read(peer, 64)
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
    _read(peer, _read(peer, 2)[1])


@contextmanager
def raw_publisher(path):
    """Yield a function that waits for a subscriber and returns the shaken-hands stream."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(20)

        def accept():
            peer = server.accept()[0]
            shake_hands(peer, b"PUB")
            return peer

        yield accept


def raw_pusher(path):
    """Return a stream to a puller that shook hands."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(path))
    shake_hands(peer, b"PUSH")
    return peer


def is_cut_off(peer):
    """Tell whether the other end closes the stream before the time limit."""
    peer.settimeout(20)
    try:
        while peer.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def _read(peer, count):
    data = b""
    while len(data) < count:
        got = peer.recv(count - len(data))
        assert got, "closed during the handshake"
        data += got
    return data
