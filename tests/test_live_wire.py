"""Facts about the sockets of the live system, on real sockets."""

import logging
import os
import pickle
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stream.clock import MS
from stream.errors import UsageError, WireError
from stream.live.wire.admission import (
    EPOCHS_AHEAD,
    FRAMES_AHEAD,
    SILENCE_NS,
    Admission,
)
from stream.live.wire.channels import Poller, Publisher, Puller, Pusher, Subscriber
from stream.live.wire.codec import FRAMES, MAX_PAYLOAD, REPORTS, SHARED_FRAMES, STATUS, encode
from stream.live.wire.endpoints import IPC_PATH_BYTES, Link, check_endpoint
from stream.live.wire.keys import Keys
from stream.live.wire.payload import read_pixels
from stream.live.wire.sockets import public_key
from tests.wire_messages import (
    count_fds,
    is_cut_off,
    make_frame,
    make_header,
    make_note,
    raw_publisher,
    raw_pusher,
    wait_until,
    zmtp,
)

pytestmark = pytest.mark.timeout(60)
LOGGER = "stream.live.wire.refusals"


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def address(folder):
    return f"ipc://{folder}/x"


def make_key_pair():
    secret = secrets.token_bytes(32)
    return secret, public_key(secret)


@pytest.fixture
def two_sides():
    """Keys of a server, and of a client that it lets in."""
    (server, server_public), (client, client_public) = make_key_pair(), make_key_pair()
    return Keys(server, frozenset({client_public})), Keys(None, frozenset(), server_public, client)


def send_until_received(publisher, subscriber, start=0, session="s"):
    """Publish frames until one arrives; return it."""
    for seq in range(start, start + 400):
        publisher.publish(make_header(seq, session=session))
        received = subscriber.receive(50)
        if received is not None:
            return received
    return None


def test_frames_reach_a_subscriber(address):
    with Publisher(Link(address)) as out, Subscriber(Link(address), SHARED_FRAMES, "s") as into:
        assert send_until_received(out, into).message.session == "s"
        assert into.refused == {}


def test_pixels_follow_the_header_in_the_same_message(address):
    header, planes = make_frame(500)
    with Publisher(Link(address)) as out, Subscriber(Link(address), FRAMES, "s") as into:
        send_until_received(out, into)
        out.publish(header, planes)
        received = into.receive(20_000)
        while received.message.seq < 500:
            received = into.receive(20_000)
        assert (read_pixels(received).planes[0] == planes[0]).all()


def test_the_newest_frame_alone_waits(address):
    link = Link(address, newest=True)
    with Publisher(Link(address)) as out, Subscriber(link, SHARED_FRAMES, "s") as into:
        first = send_until_received(out, into).message.seq
        for seq in range(first + 1000, first + 1200):
            out.publish(make_header(seq))
        received = []
        while not received or received[-1] < first + 1199:
            received.append(into.receive(20_000).message.seq)
        assert len(received) < 200
        assert into.receive(0) is None


def test_pushed_messages_arrive_all_and_in_order(address):
    with Puller(Link(address), REPORTS, "s") as into, Pusher(Link(address)) as out:
        for number in range(100):
            assert out.push(make_note(str(number)))
        texts = [into.receive(20_000).message.text for _ in range(100)]
    assert texts == [str(number) for number in range(100)]


def test_a_pusher_without_a_puller_never_waits(address):
    with Pusher(Link(address, queue=3)) as out:
        assert [out.push(make_note()) for _ in range(5)] == [True, True, True, False, False]


def test_last_words_are_sent_after_closing(address):
    with Puller(Link(address), REPORTS, "s") as into:
        with Pusher(Link(address, linger_ms=5000)) as out:
            out.push(make_note("bye"))
        assert into.receive(20_000).message.text == "bye"


def test_a_poller_returns_the_receiver_that_has_a_message(folder):
    one, two = Link(f"ipc://{folder}/1"), Link(f"ipc://{folder}/2")
    with Puller(one, REPORTS, "s") as first, Puller(two, REPORTS, "s") as second:
        with Pusher(two) as out:
            out.push(make_note())
            assert Poller(first, second).wait(20_000) == [second]
        assert Poller(first).wait(0) == []


def test_a_subscriber_outlives_its_publisher(address):
    with Subscriber(Link(address), SHARED_FRAMES, "s") as into:
        for start in (0, 1000, 2000):
            with Publisher(Link(address)) as out:
                assert send_until_received(out, into, start).message.seq >= start


@pytest.mark.parametrize("newest", [False, True])
def test_z01_a_message_of_several_parts_is_refused_as_a_whole(folder, newest):
    good = encode(make_header(1))
    parts = zmtp(good, more=True) + zmtp(b"", more=True)
    with raw_publisher(folder / "x") as accept:
        link = Link(f"ipc://{folder}/x", newest=newest)
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


def test_z01_empty_parts_are_counted(folder):
    with Puller(Link(f"ipc://{folder}/x"), REPORTS, "s") as into, raw_pusher(folder / "x") as peer:
        peer.sendall(zmtp(b"") * 3 + zmtp(encode(make_note())))
        assert into.receive(20_000) is not None
        assert into.refused == {"size": 3}


@pytest.mark.parametrize(("place", "reason"), [(0, "magic"), (4, "version")])
def test_z02_a_foreign_peer_gives_one_line_and_then_counts(folder, caplog, place, reason):
    bad = bytearray(encode(make_note()))
    bad[place] += 1
    caplog.set_level(logging.WARNING, LOGGER)
    with Puller(Link(f"ipc://{folder}/x"), REPORTS, "s") as into, raw_pusher(folder / "x") as peer:
        peer.sendall(zmtp(bytes(bad)) * 50 + zmtp(encode(make_note())))
        assert into.receive(20_000) is not None
        assert into.refused == {reason: 50}
    assert [record.getMessage().count(f"({reason})") for record in caplog.records] == [1]


def test_z03_z04_bad_messages_are_counted_and_the_good_one_after_them_arrives(folder):
    good = encode(make_note())
    header = good[:8] + (5000).to_bytes(4, "little") + bytes(8) + b"\x91" * 5000
    more = good[:12] + (1 << 40).to_bytes(8, "little") + good[20:]
    with Puller(Link(f"ipc://{folder}/x"), REPORTS, "s") as into, raw_pusher(folder / "x") as peer:
        peer.sendall(zmtp(header) + zmtp(more) + zmtp(good))
        assert into.receive(20_000).message.text == "hello"
        assert into.refused == {"header": 1, "size": 1}


def test_a_flood_of_bad_messages_does_not_hold_the_receiver(folder):
    with (
        Puller(Link(f"ipc://{folder}/x", queue=10_000), REPORTS, "s") as into,
        raw_pusher(folder / "x") as peer,
    ):
        peer.sendall(zmtp(b"bad") * 2000)
        calls = 0
        while into.refused["size"] < 2000:
            assert into.receive(0) is None
            calls += 1
        assert calls >= 2000 // 256


def test_z05_a_puller_cuts_off_who_sends_more_than_the_limit(folder):
    with Puller(Link(f"ipc://{folder}/x"), REPORTS, "s") as into:
        with raw_pusher(folder / "x") as peer:
            peer.sendall(b"\x02" + (1 << 30).to_bytes(8, "big") + bytes(1000))
            assert is_cut_off(peer)
        assert wait_until(lambda: into.receive(50) is None and into.departed == 1)
        with Pusher(Link(into.endpoint)) as out:
            out.push(make_note())
            assert into.receive(20_000) is not None


def test_z05_a_subscriber_cuts_off_counts_and_connects_again(folder, caplog):
    caplog.set_level(logging.WARNING, LOGGER)
    with (
        raw_publisher(folder / "x") as accept,
        Subscriber(Link(f"ipc://{folder}/x"), SHARED_FRAMES, "s") as into,
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


def test_z06_a_pickled_object_that_arrives_is_never_unpickled(folder):
    data = pickle.dumps(Marker(folder / "marker"))
    with Puller(Link(f"ipc://{folder}/x"), REPORTS, "s") as into, raw_pusher(folder / "x") as peer:
        peer.sendall(zmtp(data) + zmtp(encode(make_note())))
        assert into.receive(20_000).message.text == "hello"
        assert sum(into.refused.values()) == 1
    assert not (folder / "marker").exists()


def test_f26_z07_recorded_bytes_sent_again_are_dropped_and_counted(folder):
    recorded = [encode(make_header(seq, epoch=1)) for seq in (1, 2)]
    forged = [
        *recorded,
        encode(make_header(3, epoch=0)),
        encode(make_header(3, epoch=1, session="other")),
        encode(make_header(1 << 50, epoch=1)),
    ]
    with (
        raw_publisher(folder / "x") as accept,
        Subscriber(Link(f"ipc://{folder}/x"), SHARED_FRAMES, "s") as into,
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


def test_a_viewer_elsewhere_follows_the_first_session_that_speaks(address):
    with Publisher(Link(address)) as out, Subscriber(Link(address), SHARED_FRAMES) as into:
        seq = send_until_received(out, into, session="one").message.seq
        assert into.session == "one"
        out.publish(make_header(seq + 400, session="two"))
        assert wait_until(lambda: into.receive(50) is None and into.refused["foreign"])


@pytest.mark.parametrize("kind", [Publisher, Pusher])
def test_z08_tcp_without_keys_is_refused(kind):
    with pytest.raises(UsageError, match="TCP without keys") as caught:
        kind(Link("tcp://127.0.0.1:0"))
    assert caught.value.fault == "Z08"


def test_z08_frames_travel_over_tcp_with_keys(two_sides):
    server, client = two_sides
    header, planes = make_frame(500)
    with Publisher(Link("tcp://127.0.0.1:0", server)) as out:
        link = Link(out.endpoint, client, newest=True)
        with Subscriber(link, FRAMES, "s") as into:
            assert send_until_received(out, into) is not None
            out.publish(header, planes)
            assert wait_until(lambda: (got := into.receive(50)) and got.message.seq == 500)
            assert into.refused == {} and out.refused == {}


def test_z08_a_key_that_is_not_listed_gets_nothing(two_sides, caplog):
    server, client = two_sides
    caplog.set_level(logging.WARNING, LOGGER)
    wrong = Keys(None, frozenset(), client.server_public, secrets.token_bytes(32))
    with (
        Publisher(Link("tcp://127.0.0.1:0", server)) as out,
        Subscriber(Link(out.endpoint, wrong), SHARED_FRAMES, "s") as into,
    ):

        def refused():
            out.publish(make_header(1))
            return into.receive(20) is not None or (out.refused["handshake"] >= 2)

        assert wait_until(refused)  # the second try comes from our mending
        assert into.refused["handshake"] >= 1 and into.session == "s"
        assert into.receive(0) is None
    assert "key refused" in caplog.text


def test_z08_a_server_that_is_not_the_expected_one_is_not_heard(two_sides):
    server, client = two_sides
    other = Keys(None, frozenset(), public_key(secrets.token_bytes(32)), client.client_secret)
    with (
        Publisher(Link("tcp://127.0.0.1:0", server)) as out,
        Subscriber(Link(out.endpoint, other), SHARED_FRAMES, "s") as into,
    ):

        def refused():
            out.publish(make_header(1))
            return into.receive(20) is not None or into.refused["handshake"]

        assert wait_until(refused)
        assert into.receive(0) is None


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.0\r\n\r\n" * 10, os.urandom(200), b"", b"\xff"])
def test_z08_raw_bytes_scans_and_slow_handshakes_are_cut_off_with_a_reason(two_sides, caplog, sent):
    server, _ = two_sides
    caplog.set_level(logging.WARNING, LOGGER)
    with Publisher(Link("tcp://127.0.0.1:0", server)) as out:
        port = int(out.endpoint.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(sent)
            assert is_cut_off(peer)
        assert wait_until(lambda: out.refused["handshake"] == 1)
    assert "refused (handshake)" in caplog.text


def test_z08_a_peer_without_security_gets_nothing_over_tcp(two_sides):
    server, _ = two_sides
    with Puller(Link("tcp://127.0.0.1:0", server), REPORTS, "s") as into:
        port = int(into.endpoint.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(
                b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
            )
            peer.sendall(b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH" + zmtp(b"x"))
            assert is_cut_off(peer)
        assert wait_until(lambda: into.receive(50) is None and into.refused["handshake"] == 1)


def test_z08_serving_needs_a_secret_and_listed_clients(two_sides):
    server, client = two_sides
    for keys in (client, Keys(server.server_secret)):
        with pytest.raises(UsageError, match="to serve with"):
            Publisher(Link("tcp://127.0.0.1:0", keys))
    with pytest.raises(UsageError, match="to connect with"):
        Pusher(Link("tcp://127.0.0.1:1", server))


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_enter_is_refused(folder, mode):
    folder.chmod(mode)
    with pytest.raises(UsageError, match="mode 700"):
        check_endpoint(f"ipc://{folder}/x", keys=False)


@pytest.mark.parametrize("endpoint", ["ipc://x", "ipc://@name", "ipc://*", "inproc://x", "x", ""])
def test_other_endpoints_are_refused(endpoint):
    with pytest.raises(UsageError):
        check_endpoint(endpoint, keys=True)


def test_a_path_that_no_socket_can_have_is_refused_with_the_limit(folder):
    fits = f"ipc://{folder}/".ljust(IPC_PATH_BYTES + len("ipc://"), "x")
    with Publisher(Link(fits)):
        assert Path(fits.removeprefix("ipc://")).exists()
    with pytest.raises(UsageError, match="108 bytes: a socket takes at most 107"):
        Publisher(Link(fits + "x"))


def test_limits_hold_the_largest_picture():
    assert FRAMES.message_bytes > MAX_PAYLOAD >= 4096 * 4096 * 3
    assert SHARED_FRAMES.message_bytes < 8192 and STATUS.message_bytes > 65536


def test_an_address_in_use_is_a_clear_error(two_sides):
    server, _ = two_sides
    with (
        Publisher(Link("tcp://127.0.0.1:0", server)) as out,
        pytest.raises(WireError, match="in use"),
    ):
        Publisher(Link(out.endpoint, server))


def test_f35_500_reconnects_leave_no_descriptor(address):
    def connect_once():
        with Pusher(Link(address)) as out:
            out.push(make_note())
            assert into.receive(20_000) is not None

    with Puller(Link(address), REPORTS, "s") as into:
        for _ in range(3):
            connect_once()
        assert wait_until(lambda: into.receive(20) is None and into.departed == 3)
        before = count_fds()
        for _ in range(500):
            connect_once()
        assert wait_until(lambda: into.receive(20) is None and count_fds() <= before)


def test_f35_restarted_servers_leave_no_descriptor(two_sides):
    server, _ = two_sides
    with Publisher(Link("tcp://127.0.0.1:0", server)):
        pass
    before = count_fds()
    for _ in range(20):
        with Publisher(Link("tcp://127.0.0.1:0", server)):
            pass
        with pytest.raises(UsageError):
            Publisher(Link("tcp://127.0.0.1:0", Keys(server.server_secret)))
    assert wait_until(lambda: count_fds() <= before)


def test_f35_running_out_of_descriptors_is_a_clear_error(folder):
    program = (
        "import resource, sys, time\n"
        "from stream.live.wire.channels import Pusher\n"
        "from stream.live.wire.endpoints import Link\n"
        "from stream.errors import WireError\n"
        "link, held = Link(sys.argv[1]), []\n"
        "held.append(Pusher(link))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
        "try:\n"
        "    for _ in range(60):\n"
        "        held.append(Pusher(link))\n"
        "except WireError as error:\n"
        "    print(error)\n"
        "for pusher in held:\n"
        "    pusher.close()\n"
        "until = time.monotonic() + 20\n"
        "while True:\n"
        "    try:\n"
        "        Pusher(link).close()\n"
        "        break\n"
        "    except WireError:\n"
        "        assert time.monotonic() < until, 'descriptors did not come back'\n"
    )
    command = [sys.executable, "-c", program, f"ipc://{folder}/x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "error[F35]" in done.stdout and "ulimit -n" in done.stdout
