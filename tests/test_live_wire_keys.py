"""Facts about TCP, which is spoken with keys alone, on real sockets."""

import logging
import os
import secrets
import socket

import pytest

from stream.errors import UsageError, WireError
from stream.live.wire.channels import Publisher, Puller, Pusher, Subscriber
from stream.live.wire.codec import FRAMES, REPORTS, SHARED_FRAMES
from stream.live.wire.endpoints import Link
from stream.live.wire.keys import Keys
from stream.live.wire.sockets import public_key
from tests.test_live_wire import send_until_received
from tests.wire_messages import (
    count_fds,
    is_cut_off,
    make_frame,
    make_header,
    wait_until,
    zmtp,
)

pytestmark = pytest.mark.timeout(60)
LOGGER = "stream.live.wire.refusals"


def make_key_pair():
    secret = secrets.token_bytes(32)
    return secret, public_key(secret)


@pytest.fixture
def two_sides():
    """Keys of a server, and of a client that it lets in."""
    (server, server_public), (client, client_public) = make_key_pair(), make_key_pair()
    return Keys(server, frozenset({client_public})), Keys(None, frozenset(), server_public, client)


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


def test_an_address_in_use_is_a_clear_error(two_sides):
    server, _ = two_sides
    with (
        Publisher(Link("tcp://127.0.0.1:0", server)) as out,
        pytest.raises(WireError, match="in use"),
    ):
        Publisher(Link(out.endpoint, server))


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
