"""Facts about the sockets of the live system, on real sockets: how messages travel."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.live.wire.channels import Poller, Publisher, Puller, Pusher, Subscriber
from stream.live.wire.codec import FRAMES, MAX_PAYLOAD, REPORTS, SHARED_FRAMES, STATUS
from stream.live.wire.endpoints import IPC_PATH_BYTES, Link, check_endpoint
from stream.live.wire.payload import read_pixels
from tests.wire_messages import (
    count_fds,
    make_frame,
    make_header,
    make_note,
    wait_until,
)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def address(tmp_path):
    return f"ipc://{tmp_path}/x"  # a folder of mode 700, as pytest makes it


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


def test_a_poller_returns_the_receiver_that_has_a_message(tmp_path):
    one, two = Link(f"ipc://{tmp_path}/1"), Link(f"ipc://{tmp_path}/2")
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


def test_a_viewer_elsewhere_follows_the_first_session_that_speaks(address):
    with Publisher(Link(address)) as out, Subscriber(Link(address), SHARED_FRAMES) as into:
        seq = send_until_received(out, into, session="one").message.seq
        assert into.session == "one"
        out.publish(make_header(seq + 400, session="two"))
        assert wait_until(lambda: into.receive(50) is None and into.refused["foreign"])


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_enter_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(UsageError, match="mode 700"):
        check_endpoint(f"ipc://{tmp_path}/x", keys=False)


@pytest.mark.parametrize("endpoint", ["ipc://x", "ipc://@name", "ipc://*", "inproc://x", "x", ""])
def test_other_endpoints_are_refused(endpoint):
    with pytest.raises(UsageError):
        check_endpoint(endpoint, keys=True)


def test_a_path_that_no_socket_can_have_is_refused_with_the_limit(tmp_path):
    fits = f"ipc://{tmp_path}/".ljust(IPC_PATH_BYTES + len("ipc://"), "x")
    with Publisher(Link(fits)):
        assert Path(fits.removeprefix("ipc://")).exists()
    with pytest.raises(UsageError, match="108 bytes: a socket takes at most 107"):
        Publisher(Link(fits + "x"))


def test_limits_hold_the_largest_picture():
    assert FRAMES.message_bytes > MAX_PAYLOAD >= 4096 * 4096 * 3
    assert SHARED_FRAMES.message_bytes < 8192 and STATUS.message_bytes > 65536


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


def test_f35_running_out_of_descriptors_is_a_clear_error(tmp_path):
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
    command = [sys.executable, "-c", program, f"ipc://{tmp_path}/x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "error[F35]" in done.stdout and "ulimit -n" in done.stdout
