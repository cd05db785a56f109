"""Network streams that point elsewhere, are too large, or hold a login (V14, V22)."""

from __future__ import annotations

import logging
import socket
import threading
import traceback
from pathlib import Path

import pytest

from stream.errors import SourceError, UsageError
from stream.sources.live.open import open_live
from tests import live_senders as senders
from tests.clips import write_clip
from tests.test_live_network import SECRET, loss

pytestmark = pytest.mark.timeout(90)


def test_v14_a_stream_of_more_than_4096_pixels_is_refused(tmp_path: Path):
    huge = senders.as_ts(write_clip(tmp_path / "huge.mp4", 12, size_wh=(4160, 64)))
    with senders.listening(senders.sends(huge, then=senders.silent)) as port:
        error = loss(f"tcp://127.0.0.1:{port}")
    assert error.fault == "V14" and "4160x64" in error.problem


CANARY_LISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile {}\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<BaseURL>{}</BaseURL></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n{}",
}


@pytest.mark.parametrize("kind", CANARY_LISTS)
@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_v22_a_list_that_points_elsewhere_is_not_followed(kind: str, scheme: str):
    touched = threading.Event()
    with senders.listening(lambda _client, _stop: touched.set()) as canary:
        body = CANARY_LISTS[kind].format(f"http://127.0.0.1:{canary}/x.ts").encode()
        head = "HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl"
        serve = senders.answers(head, body) if scheme == "http" else senders.sends(body)
        with senders.listening(serve) as port:
            assert loss(f"{scheme}://127.0.0.1:{port}/list.{kind}").fault == "F14"
    assert not touched.is_set()


def test_v22_a_redirection_is_not_followed():
    touched = threading.Event()
    with senders.listening(lambda _client, _stop: touched.set()) as canary:
        head = f"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:{canary}/x"
        with senders.listening(senders.answers(head)) as port:
            assert "not followed" in loss(f"http://127.0.0.1:{port}/x").problem
    assert not touched.is_set()


@pytest.mark.parametrize("first", ["OPTIONS", "DESCRIBE"])
def test_v22_an_rtsp_redirection_is_not_followed(first: str):
    touched = threading.Event()

    def serve(client: socket.socket, _stop: threading.Event) -> None:
        while asked := client.recv(4096).decode():
            number = asked.split("CSeq: ")[1].split("\r\n")[0]
            elsewhere = f"302 Found\r\nLocation: rtsp://127.0.0.1:{canary}/x"
            status = elsewhere if asked.startswith(first) else "200 OK\r\nPublic: DESCRIBE"
            client.sendall(f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n\r\n".encode())

    with (
        senders.listening(lambda _client, _stop: touched.set()) as canary,
        senders.listening(serve) as port,
    ):
        assert loss(f"rtsp://127.0.0.1:{port}/x").fault == "F14"
    assert not touched.is_set()


def wrong_rtsp_login() -> SourceError:
    with senders.rtsp(senders.DEMO, "--login", "user:right") as port:
        return loss(f"rtsp://user:{SECRET}@127.0.0.1:{port}/clip?key={SECRET}")


def wrong_http_login() -> SourceError:
    head = 'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"'
    with senders.listening(senders.answers(head)) as port:
        return loss(f"http://user:{SECRET}@127.0.0.1:{port}/x?key={SECRET}")


def refused_with_login() -> SourceError:
    return loss(f"rtsp://user:{SECRET}@127.0.0.1:{senders.free_port()}/clip?key={SECRET}")


@pytest.mark.parametrize("fail", [wrong_rtsp_login, wrong_http_login, refused_with_login])
def test_f14_credentials_are_in_no_error_log_or_output(fail, caplog, capfd):
    with caplog.at_level(logging.DEBUG), caplog.at_level(1, "libav"):
        error = fail()
    chain = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__)
    printed = capfd.readouterr()
    assert SECRET not in chain + caplog.text + printed.out + printed.err
    assert fail is refused_with_login or "wrong login" in error.problem


@pytest.mark.parametrize("address", ["tcp://127.0.0.1", "tcp://127.0.0.1:99999", "tcp://:80/ x"])
def test_an_address_without_host_or_port_is_a_usage_error(address: str):
    with pytest.raises(UsageError):
        open_live(address)
