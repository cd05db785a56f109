"""Capture, inference and viewer as programs of their own, over TCP with keys."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from engines.open import DEMO_MODEL
from stream.clock import MS, host_id, now_ns
from stream.live.supervisor.config import Endpoints, EngineWanted, LiveConfig
from stream.live.viewer.viewing import Viewing
from stream.live.wire.channels import Poller
from stream.live.wire.frames import FrameTaker
from stream.live.wire.keys import make_keys
from stream.live.wire.links import every_result, take_all
from stream.live.wire.messages import FrameHeader, ModelNote, ResultHeader
from stream.live.worker.results import decode_result
from stream.replay_command import DEMO_CLIP
from tests.interrupts import heed_interrupts

pytestmark = pytest.mark.timeout(120)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def program(*arguments):
    """Run a `stream` command; it ends by Ctrl-C with the status that a shell expects."""
    command = [sys.executable, "-m", "stream.cli", *map(str, arguments)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(10)
        assert process.returncode == 130, process.stderr.read()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def remote(tmp_path):
    """Return the configuration of a viewer on another machine."""
    keys = tmp_path / "keys"
    make_keys(keys)
    frames, results = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    return LiveConfig(
        session="",
        started_ns=0,
        wanted=EngineWanted(model=""),
        endpoints=Endpoints(frames=frames, results=results),
        keys=str(keys),
    )


def capture(config):
    listen = ("--keys", config.keys, "--listen", config.endpoints.frames)
    return program("capture", DEMO_CLIP, "--loop", *listen)


def test_viewer_elsewhere_shows_results_of_one_capture_and_of_the_next(remote):
    viewing = Viewing(host_id(), 500 * MS)
    ends = remote.endpoints
    listen = ("--keys", remote.keys, "--listen", ends.results)
    with (
        program("infer", ends.frames, "--model", DEMO_MODEL, *listen),
        FrameTaker(remote) as frames,
        every_result(remote) as results,
    ):
        with capture(remote):
            first = watch_until_current(viewing, frames, results)
        with capture(remote):
            second = watch_until_current(viewing, frames, results, before=first)
    scene = viewing.scene(now_ns())
    assert second != first and scene.source == DEMO_CLIP.name
    assert scene.spec.name == "phantom-kidney"


def watch_until_current(viewing, frames, results, before=None):
    """Watch until a result of another session than the one before may be drawn; return which."""
    end_ns, poller = now_ns() + 40_000 * MS, Poller(frames.socket, results)
    while True:
        for received in take_all(poller, 20):
            see(viewing, frames, received)
        frame = viewing.shown_frame
        known = frame is not None and frame.id.session != before
        if known and viewing.scene(now_ns()).verdict is not None:
            return frame.id.session
        assert now_ns() < end_ns, viewing.view(now_ns())


def see(viewing, frames, received):
    message = received.message
    if isinstance(message, FrameHeader) and (frame := frames.frame(received)) is not None:
        assert message.slot is None and message.masked
        viewing.see_frame(message, frame, now_ns())
    elif isinstance(message, ResultHeader):
        viewing.see_result(decode_result(received), now_ns())
    elif isinstance(message, ModelNote):
        viewing.see_model(message)


@pytest.mark.parametrize("command", ["capture", "infer", "view"])
def test_z08_tcp_without_keys_is_refused(command, tmp_path):
    addresses = {
        "capture": ("phantom:kidney", "--listen", "tcp://127.0.0.1:1"),
        "infer": ("tcp://127.0.0.1:1", "--listen", "tcp://127.0.0.1:2"),
        "view": ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "--no-window"),
    }
    (tmp_path / "empty").mkdir()
    line = [sys.executable, "-m", "stream.cli", command, *addresses[command], "--keys"]
    done = subprocess.run(
        [*line, str(tmp_path / "empty")], capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert done.returncode == 2 and "no keys in it" in done.stderr
