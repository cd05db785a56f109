"""`stream live` as a user runs it: a window on a display, a real sender, a session at the end."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from stream.live.screen.screen import Screen
from stream.replay_command import DEMO_CLIP
from stream.session.ledger import balances
from stream.session.manifest import read_manifest
from tests.scenes import make_scene
from tests.xvfb import xvfb

MISSING = [name for name in ("ffmpeg", "xdotool") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
WINDOW_WH = (1280, 720)
REAL_CLIP = Path("../shared/data/clips/butterfly-ocular-phantom.mp4")


@pytest.fixture(scope="module")
def display():
    with xvfb(WINDOW_WH) as name:
        yield {**os.environ, "DISPLAY": name}


@contextmanager
def sender(clip):
    """Send a clip again and again, at its own pace, as MPEG-TS to whoever connects."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    loop = ("-re", "-stream_loop", "-1", "-i", str(clip))
    end = ("-c", "copy", "-f", "mpegts", f"{address}?listen=1")
    process = subprocess.Popen(["ffmpeg", "-v", "error", *loop, *end], stderr=subprocess.DEVNULL)
    try:
        yield address
    finally:
        process.kill()
        process.wait()


def stream(*arguments, env):
    command = [sys.executable, "-m", "stream.cli", *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def photograph(env):
    """Return what is on the display, (H, W, 3) BGR."""
    size = f"{WINDOW_WH[0]}x{WINDOW_WH[1]}"
    grab = ("-f", "x11grab", "-video_size", size, "-i", env["DISPLAY"], "-frames:v", "1")
    command = ["ffmpeg", "-v", "error", *grab, "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return np.frombuffer(done.stdout, np.uint8).reshape(WINDOW_WH[1], WINDOW_WH[0], 3)


def shows_result(image_bgr):
    """Tell whether the panel holds something else than the words that there is nothing."""
    screen = Screen(WINDOW_WH)
    blank = screen.draw(make_scene(verdict=None))
    left, top, right, bottom = screen.regions["panel"]
    there = image_bgr[top:bottom, left:right].astype(int)
    drawn = image_bgr[20:60, left:right].max() > 200  # the clock: a window is up
    return drawn and np.abs(there - blank[top:bottom, left:right]).max(axis=2).mean() > 8


def wait_for_result(env, process):
    end_s = time.monotonic() + 60
    while not shows_result(photograph(env)):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < end_s


def run_session(source, display, out):
    """Run until the overlay shows a result, then press q; return the session folder."""
    process = stream("live", source, "--out", out, "--json", env=display)
    try:
        wait_for_result(display, process)
        subprocess.run(["xdotool", "key", "q"], env=display, check=True, timeout=30)
    except BaseException:
        process.kill()
        raise
    finally:
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    return Path(json.loads(printed)["session"])


def check_session(folder, env):
    """A live session opens with the commands of a replay."""
    manifest = read_manifest(folder)
    assert manifest.complete and balances(manifest.ledger) and manifest.ledger["analysed"] > 0
    assert (folder / "report" / "index.html").is_file()
    report = stream("report", folder, env=env)
    assert report.wait(60) == 0, report.communicate()
    report.communicate()
    return manifest


def verify(folder, env):
    process = stream("replay", folder, "--verify", "--json", env=env)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode() + printed.decode()
    return json.loads(printed)[str(folder)]


def test_phantom_shows_the_overlay_and_can_be_verified(display, tmp_path):
    folder = run_session("phantom:kidney?seed=7&seconds=60&rate_hz=10", display, tmp_path)
    manifest = check_session(folder, display)
    again = verify(folder, display)
    ledger = manifest.ledger
    answered = ledger["analysed"] + ledger["invalid_frame"]
    assert again["compared"] == answered and again["differences"] == []
    lost = sum(loss["last_seq"] - loss["first_seq"] + 1 for loss in map(as_loss, again["lost"]))
    assert lost == ledger["grabbed"] - answered


def as_loss(row):
    return row if isinstance(row, dict) else dict(zip(("first_seq", "last_seq"), row, strict=False))


def test_real_sender_with_a_real_clip_shows_the_overlay(display, tmp_path):
    clip = REAL_CLIP if REAL_CLIP.is_file() else DEMO_CLIP
    with sender(clip) as address:
        folder = run_session(address, display, tmp_path)
    manifest = check_session(folder, display)
    assert manifest.input.uri == address and not manifest.live.repeatable


def test_recorded_stream_can_be_verified(display, tmp_path):
    with sender(DEMO_CLIP) as address:
        flags = ("--seconds", "6", "--record", "--no-window", "--out", tmp_path, "--name", "s")
        process = stream("live", address, *flags, env=display)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    again = verify(tmp_path / "s", display)
    assert again["compared"] > 20 and again["differences"] == []
