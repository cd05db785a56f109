"""Facts about the bytes of live messages."""

import math
import os
import pickle
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.pixels import Pixels
from stream.errors import WireError
from stream.live.wire.codec import FRAMES, PREAMBLE, REPORTS, RESULTS, SHARED_FRAMES, decode, encode
from stream.live.wire.messages import KeyNote, PixelLayout, Ranking
from stream.live.wire.payload import Arrays, read_arrays, read_jpegs, read_pixels, result_payload
from tests.wire_messages import make_arrays, make_frame, make_header, make_note, make_result

pytestmark = pytest.mark.timeout(60)
GOOD = bytes(encode(*make_frame()))
HEADER_END = PREAMBLE.size + struct.unpack_from("<I", GOOD, 8)[0]


def reason_of(data, limits=FRAMES):
    with pytest.raises(WireError) as caught:
        decode(bytes(data), limits)
    return caught.value.reason


def with_header(change, payload=GOOD[HEADER_END:], limits=FRAMES):
    """Return a frame whose header was changed, lengths true to what follows."""
    fields = msgspec.msgpack.decode(GOOD[PREAMBLE.size : HEADER_END])
    header = msgspec.msgpack.encode(fields | change)
    return PREAMBLE.pack(b"SONO", 1, 1, 0, len(header), len(payload)) + header + payload


def with_raw(header, payload=b"", code=1):
    return PREAMBLE.pack(b"SONO", 1, code, 0, len(header), len(payload)) + header + payload


def test_layout_of_the_preamble_is_the_documented_one():
    data = encode(make_header())
    assert data[:8] == b"SONO\x01\x01\0\0"
    assert struct.unpack_from("<IQ", data, 8) == (len(data) - 20, 0)


def test_frame_travels_with_planes_that_are_not_contiguous():
    image = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)[2:9, 3:20]
    header, planes = make_frame(pixels=Pixels((image,), "bt709", False))
    received = decode(encode(header, planes), FRAMES)
    pixels = read_pixels(received)
    assert received.message == header
    assert (pixels.planes[0] == image).all() and not pixels.planes[0].flags.writeable
    assert (pixels.matrix, pixels.full_range) == ("bt709", False)


def test_frame_in_shared_memory_has_no_payload():
    received = decode(encode(make_header(slot=3)), SHARED_FRAMES)
    assert received.message.slot == 3 and read_pixels(received) is None


def test_result_travels_with_arrays_and_planes():
    rng = np.random.default_rng(1)
    arrays = make_arrays(rng)
    planes = tuple(rng.integers(0, 256, s, np.uint8) for s in ((8, 12), (4, 6), (4, 6)))
    pixels = Pixels(planes, full_range=False)
    data = encode(make_result(arrays, pixels), result_payload(arrays, pixels))
    received = decode(data, RESULTS)
    found = read_arrays(received)
    for name in ("probs", "smoothed", "cam", "features"):
        np.testing.assert_array_equal(getattr(found, name), getattr(arrays, name))
    for got, sent in zip(read_pixels(received).planes, planes, strict=True):
        np.testing.assert_array_equal(got, sent)


def test_ranking_travels_with_its_jpegs():
    common = {"epoch": 0, "time_ns": 0, "score": 1.0, "probability": 0.5, "pinned": False}
    keys = tuple(KeyNote(rank=n, seq=n, jpeg_bytes=n + 1, **common) for n in range(3))
    data = encode(Ranking(session="s", keys=keys), [b"a", b"bb", b"ccc"])
    assert [bytes(view) for view in read_jpegs(decode(data, REPORTS))] == [b"a", b"bb", b"ccc"]


def test_encoder_refuses_a_payload_that_its_header_does_not_announce():
    with pytest.raises(ValueError, match="the header says 96"):
        encode(make_frame()[0], [b"short"])


@pytest.mark.parametrize("data", [b"", b"S", GOOD[:19], GOOD[:-1], GOOD + b"\0"])
def test_z01_an_empty_or_cut_part_is_refused_by_its_size(data):
    assert reason_of(data) == "size"


@pytest.mark.parametrize(
    ("place", "byte", "reason"), [(0, 0, "magic"), (4, 0, "version"), (4, 2, "version")]
)
def test_z02_wrong_magic_and_other_versions_are_refused(place, byte, reason):
    data = bytearray(GOOD)
    data[place] = byte
    assert reason_of(data) == reason


@pytest.mark.parametrize("code", [0, 2, 4, 99, 255])
def test_a_kind_that_does_not_belong_on_the_channel_is_refused(code):
    assert reason_of(with_raw(b"\x80", code=code)) == "kind"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b'{"session": "s"}',
        b"\xc1",
        b"\x91" * 4000 + b"\xc0",
        b"\x81\xa7session" + b"\x81\xa1a" * 1000 + b"\xc0",
        msgspec.msgpack.encode({"session": "s"}),
        GOOD[PREAMBLE.size : HEADER_END] + b"\xc0",
    ],
)
def test_z03_a_header_that_is_not_one_is_refused(header):
    assert reason_of(with_raw(header)) == "header"


def test_z03_a_header_above_its_limit_is_refused_before_it_is_parsed():
    assert reason_of(with_raw(b"\xc1" * 4097)) == "header"


@pytest.mark.parametrize(
    "change",
    [
        {"seq": "1"},
        {"seq": -1},
        {"seq": 1.5},
        {"seq": math.nan},
        {"seq": 1 << 63},
        {"session": "x" * 65},
        {"session": ""},
        {"extra": 1},
        {"frozen": 1},
        {"source": "x" * 301},
        {"before": 1},
    ],
)
def test_z03_wrong_types_ranges_and_unknown_fields_are_refused(change):
    assert reason_of(with_header(change)) == "header"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_z03_a_float_in_a_header_must_be_finite(value):
    arrays = Arrays(np.array([0.5, 0.5], np.float32))
    data = encode(make_result(arrays, distance=value), result_payload(arrays))
    assert reason_of(data, RESULTS) == "header"


@pytest.mark.parametrize(
    "shapes",
    [
        [],
        [[0, 12]],
        [[1 << 20, 1 << 20]],
        [[8]],
        [[8, 12, 4]],
        [[8, 12], [4, 6]],
        [[8, 12], [4, 6], [4, 5]],
        [[8, 12], [9, 12], [9, 12]],
        [[8, 12, 3], [4, 6], [4, 6]],
    ],
)
def test_z04_shapes_that_make_no_picture_are_refused(shapes):
    pixels = {"shapes": shapes, "matrix": "bt601", "full_range": True}
    assert reason_of(with_header({"pixels": pixels})) == "header"


@pytest.mark.parametrize("shapes", [[[8, 11]], [[4096, 4096, 3]], [[8, 12, 3]]])
def test_z04_a_payload_that_is_not_its_shape_is_refused(shapes):
    pixels = {"shapes": shapes, "matrix": "bt601", "full_range": True}
    assert reason_of(with_header({"pixels": pixels})) == "payload"


def test_z04_pixels_after_a_header_that_points_to_shared_memory_are_refused():
    assert reason_of(with_header({"slot": 1})) == "payload"


def test_z04_a_preamble_that_announces_more_than_came_is_refused():
    data = bytearray(GOOD)
    struct.pack_into("<Q", data, 12, (1 << 64) - 1)
    assert reason_of(data) == "size"


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        (Arrays(np.array([np.nan, 0.5], np.float32)), "values"),
        (Arrays(np.array([1.5, 0.5], np.float32)), "values"),
        (Arrays(np.ones(2, np.float32), features=np.array([np.inf], np.float32)), "values"),
        (Arrays(np.ones(2, np.float32), np.ones(3, np.float32)), "header"),
        (Arrays(np.ones((2, 2), np.float32)), "header"),
        (Arrays(np.ones(257, np.float32)), "header"),
        (Arrays(), "header"),
    ],
)
def test_z04_arrays_that_make_no_result_are_refused(arrays, reason):
    assert reason_of(encode(make_result(arrays), result_payload(arrays)), RESULTS) == reason


class Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_z06_a_pickled_object_is_never_unpickled(tmp_path):
    marker = tmp_path / "marker"
    data = pickle.dumps(Marker(marker))
    for forged in (data, with_raw(data), with_raw(b"\x80", data), GOOD[:HEADER_END] + data):
        assert reason_of(forged) in ("size", "magic", "header", "payload")
    assert not marker.exists()
    pickle.loads(data)
    assert marker.exists()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_with_a_reason(data):
    assert reason_of(data)
    assert reason_of(with_raw(data)) == "header"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_gives_a_valid_message_or_a_refusal(place, flip):
    data = bytearray(GOOD)
    data[place] ^= flip
    try:
        received = decode(bytes(data), FRAMES)
    except WireError as error:
        assert error.reason in ("size", "magic", "version", "kind", "header", "payload")
    else:
        assert received.message.slot is not None or read_pixels(received).nbytes == 96


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.integers(0, (1 << 53) - 1),
    st.text(max_size=300),
    st.sampled_from([((5, 7),), ((5, 7, 3),), ((5, 7), (3, 4), (3, 4))]),
)
def test_every_header_comes_back_as_it_was(seq, source, shapes):
    layout = PixelLayout(shapes=shapes, matrix="bt709", full_range=False)
    header = make_header(seq, layout=layout, slot=None, source=source)
    planes = [np.full(shape, 7, np.uint8) for shape in shapes]
    assert decode(encode(header, planes), FRAMES).message == header


def test_wire_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(WireError("magic", "bad")))
    assert (error.reason, error.problem) == ("magic", "bad")


def test_a_note_is_not_a_frame():
    assert reason_of(encode(make_note()), FRAMES) == "kind"
