"""Facts about messages that are not ours, damaged or of the past, on real sockets."""

import logging
import os
import pickle

import pytest

from stream.clock import MS
from stream.live.wire.admission import (
    EPOCHS_AHEAD,
    FRAMES_AHEAD,
    SILENCE_NS,
    Admission,
)
from stream.live.wire.channels import Puller, Pusher, Subscriber
from stream.live.wire.codec import REPORTS, SHARED_FRAMES, encode
from stream.live.wire.endpoints import Link
from tests.wire_messages import (
    is_cut_off,
    make_header,
    make_note,
    raw_publisher,
    raw_pusher,
    wait_until,
    zmtp,
)

pytestmark = pytest.mark.timeout(60)
LOGGER = "stream.live.wire.refusals"


@pytest.mark.parametrize("newest", [False, True])
def test_z01_a_message_of_several_parts_is_refused_as_a_whole(tmp_path, newest):
    good = encode(make_header(1))
    parts = zmtp(good, more=True) + zmtp(b"", more=True)
    with raw_publisher(tmp_path / "x") as accept:
        link = Link(f"ipc://{tmp_path}/x", newest=newest)
        with Subscriber(link, SHARED_FRAMES, "s") as into:
            with accept() as peer:
                peer.sendall(parts)
                if newest:
                    assert wait_until(lambda: not into.receive(50) and into.refused["parts"])
                    assert is_cut_off(peer)
                else:
                    peer.sendall(zmtp(good) + zmtp(encode(make_header(2))))
                    assert into.receive(20_000).message.seq == 2
            if newest:
                with accept() as again:
                    again.sendall(zmtp(encode(make_header(2))))
                    assert into.receive(20_000).message.seq == 2
            assert into.refused["parts"] == 1


def test_z01_empty_parts_are_counted(tmp_path):
    with (
        Puller(Link(f"ipc://{tmp_path}/x"), REPORTS, "s") as into,
        raw_pusher(tmp_path / "x") as peer,
    ):
        peer.sendall(zmtp(b"") * 3 + zmtp(encode(make_note())))
        assert into.receive(20_000) is not None
        assert into.refused == {"size": 3}


@pytest.mark.parametrize(("place", "reason"), [(0, "magic"), (4, "version")])
def test_z02_a_foreign_peer_gives_one_line_and_then_counts(tmp_path, caplog, place, reason):
    bad = bytearray(encode(make_note()))
    bad[place] += 1
    caplog.set_level(logging.WARNING, LOGGER)
    with (
        Puller(Link(f"ipc://{tmp_path}/x"), REPORTS, "s") as into,
        raw_pusher(tmp_path / "x") as peer,
    ):
        peer.sendall(zmtp(bytes(bad)) * 50 + zmtp(encode(make_note())))
        assert into.receive(20_000) is not None
        assert into.refused == {reason: 50}
    assert [record.getMessage().count(f"({reason})") for record in caplog.records] == [1]


def test_z03_z04_bad_messages_are_counted_and_the_good_one_after_them_arrives(tmp_path):
    good = encode(make_note())
    header = good[:8] + (5000).to_bytes(4, "little") + bytes(8) + b"\x91" * 5000
    more = good[:12] + (1 << 40).to_bytes(8, "little") + good[20:]
    with (
        Puller(Link(f"ipc://{tmp_path}/x"), REPORTS, "s") as into,
        raw_pusher(tmp_path / "x") as peer,
    ):
        peer.sendall(zmtp(header) + zmtp(more) + zmtp(good))
        assert into.receive(20_000).message.text == "hello"
        assert into.refused == {"header": 1, "size": 1}


def test_a_flood_of_bad_messages_does_not_hold_the_receiver(tmp_path):
    with (
        Puller(Link(f"ipc://{tmp_path}/x", queue=10_000), REPORTS, "s") as into,
        raw_pusher(tmp_path / "x") as peer,
    ):
        peer.sendall(zmtp(b"bad") * 2000)
        calls = 0
        while into.refused["size"] < 2000:
            assert into.receive(0) is None
            calls += 1
        assert calls >= 2000 // 256


def test_z05_a_puller_cuts_off_who_sends_more_than_the_limit(tmp_path):
    with Puller(Link(f"ipc://{tmp_path}/x"), REPORTS, "s") as into:
        with raw_pusher(tmp_path / "x") as peer:
            peer.sendall(b"\x02" + (1 << 30).to_bytes(8, "big") + bytes(1000))
            assert is_cut_off(peer)
        assert wait_until(lambda: into.receive(50) is None and into.departed == 1)
        with Pusher(Link(into.endpoint)) as out:
            out.push(make_note())
            assert into.receive(20_000) is not None


def test_z05_a_subscriber_cuts_off_counts_and_connects_again(tmp_path, caplog):
    caplog.set_level(logging.WARNING, LOGGER)
    with (
        raw_publisher(tmp_path / "x") as accept,
        Subscriber(Link(f"ipc://{tmp_path}/x"), SHARED_FRAMES, "s") as into,
    ):
        with accept() as peer:
            peer.sendall(b"\x02" + (1 << 30).to_bytes(8, "big") + bytes(1000))
            assert is_cut_off(peer)
        assert wait_until(lambda: into.receive(50) is None and into.refused["cut"] == 1)
        with accept() as peer:
            peer.sendall(zmtp(encode(make_header(2))))
            assert into.receive(20_000).message.seq == 2
    assert "cut off for a message above the limit" in caplog.text


class Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_z06_a_pickled_object_that_arrives_is_never_unpickled(tmp_path):
    data = pickle.dumps(Marker(tmp_path / "marker"))
    with (
        Puller(Link(f"ipc://{tmp_path}/x"), REPORTS, "s") as into,
        raw_pusher(tmp_path / "x") as peer,
    ):
        peer.sendall(zmtp(data) + zmtp(encode(make_note())))
        assert into.receive(20_000).message.text == "hello"
        assert sum(into.refused.values()) == 1
    assert not (tmp_path / "marker").exists()


def test_f26_z07_recorded_bytes_sent_again_are_dropped_and_counted(tmp_path):
    recorded = [encode(make_header(seq, epoch=1)) for seq in (1, 2)]
    forged = [
        *recorded,
        encode(make_header(3, epoch=0)),
        encode(make_header(3, epoch=1, session="other")),
        encode(make_header(1 << 50, epoch=1)),
    ]
    with (
        raw_publisher(tmp_path / "x") as accept,
        Subscriber(Link(f"ipc://{tmp_path}/x"), SHARED_FRAMES, "s") as into,
        accept() as peer,
    ):
        for data in (*recorded, *forged, encode(make_header(3, epoch=1))):
            peer.sendall(zmtp(data))
        seen = [into.receive(20_000).message.seq for _ in range(3)]
        assert seen == [1, 2, 3]
        assert into.refused == {"order": 2, "past": 1, "foreign": 1, "leap": 1}


def test_f26_a_new_epoch_makes_the_old_one_past():
    rule = Admission("s")
    steps = [(1, 9), (2, 10), (1, 11), (2, 10), (2, 11)]
    reasons = [rule.refusal(make_header(seq, epoch=epoch), 0) for epoch, seq in steps]
    assert reasons == ["", "", "past", "order", ""]


def test_z07_a_gap_of_lost_frames_is_no_leap_but_more_than_time_allows_is():
    rule = Admission("s")
    assert rule.refusal(make_header(0), 0) == ""
    assert rule.refusal(make_header(FRAMES_AHEAD), 0) == ""
    assert rule.refusal(make_header(FRAMES_AHEAD + 11), 10 * MS) == "leap"
    assert rule.refusal(make_header(FRAMES_AHEAD + 10), 10 * MS) == ""
    assert rule.refusal(make_header(FRAMES_AHEAD + 11, epoch=EPOCHS_AHEAD + 1), 99 * MS) == "leap"


def test_a_viewer_elsewhere_follows_another_session_once_the_first_is_silent():
    rule = Admission(None)
    assert rule.refusal(make_header(900, session="one"), 0) == ""
    assert rule.refusal(make_header(5, session="two"), SILENCE_NS - 1) == "foreign"
    assert rule.refusal(make_header(6, session="two"), SILENCE_NS) == ""
    assert rule.refusal(make_header(901, session="one"), SILENCE_NS + 1) == "foreign"


def test_f26_a_session_that_was_given_is_followed_for_ever():
    rule = Admission("one")
    assert rule.refusal(make_header(5, session="two"), 100 * SILENCE_NS) == "foreign"
