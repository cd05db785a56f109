"""How a review starts and ends: what is opened, who is let in, what a signal leaves."""

import json
import re
import signal
import socket
import stat
import time
from pathlib import Path

import pytest

from stream.review.chain import read_chain
from stream.sources.encode import write_video
from tests.review_sessions import given_to, make_session, numbered, reviewing, write_browser
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return make_session(tmp_path_factory.mktemp("start"))


def test_the_browser_gets_in_once_by_a_page_of_mode_0600_and_no_command_line_tells(
    session, tmp_path
):
    browser = write_browser(tmp_path)
    with reviewing(session, "--reader", "once", browser=browser) as review:
        given = given_to(browser)
        local = Path(given.removeprefix("file://"))
        ticket = re.search(r"token=([\w-]{43})\"", local.read_text())[1]
        lines = (tmp_path / "lines").read_bytes()
        assert given.encode() in lines, "the list of processes was read"
        assert not any(word.encode() in lines for word in (ticket, review.token, review.cookie))
        assert stat.S_IMODE(local.stat().st_mode) == 0o600
        enter = ("GET", f"/?token={ticket}")
        assert [review.ask(*enter, Cookie=None)[0].status for _ in range(2)] == [200, 403]
        assert not local.exists()


def test_a_page_that_no_browser_used_is_gone_after_the_review(session, tmp_path):
    browser = write_browser(tmp_path)
    with reviewing(session, "--reader", "left", browser=browser) as review:
        local = Path(given_to(browser).removeprefix("file://"))
        assert local.exists()
        review.end()
    assert not local.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_five_seconds_with_everything_saved(session, number, status):
    with reviewing(session, "--reader", f"s{status}") as review:
        review.wait_for("film")
        review.act("label", (0, 7), "blue")
        with socket.create_connection(("127.0.0.1", review.port)) as idle:
            idle.sendall(b"GET /film HTTP/1.1\r\n")  # somebody is in the middle of something
            began = time.monotonic()
            assert review.end(number) == status
            assert time.monotonic() - began < 5
    last = read_chain(session.with_name(f"{session.name}.review") / f"s{status}.jsonl").records[-1]
    assert (last.what, last.target) == ("label", (0, 7))


def test_a_clip_is_analysed_first_and_its_session_is_found_again_with_the_labels(tmp_path):
    clip, out = tmp_path / "clip.mp4", tmp_path / "sessions"
    write_video(clip, numbered(40, 20), 25.0)
    flags = ["--reader", "anna", "--model", str(save_tiny(tmp_path)), "--out", str(out)]
    flags += ["--engine", "onnxruntime", "--cache", str(tmp_path / "engines")]
    with reviewing(clip, *flags) as review:
        review.wait_for("film")
        assert review.act("label", (0, 3), "red")[0] == 200
    made = [path.read_bytes() for path in out.glob("*/manifest.json")]
    with reviewing(clip, *flags) as review:
        assert list(json.loads(review.ask("GET", "/api/labels")[1])["calls"]) == ["0:3"]
        assert len(json.loads(review.ask("GET", "/api/clip")[1])["places"]) == 40
    assert [path.read_bytes() for path in out.glob("*/manifest.json")] == made
    assert len(made) == 1


def test_a_port_that_is_taken_is_a_usage_error_c08(session):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(AssertionError, match="cannot be listened on"),
            reviewing(session, "--reader", "late", "--port", str(port)),
        ):
            pass
