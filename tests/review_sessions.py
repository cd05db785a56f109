"""Sessions to review and reviews as real processes, for tests."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.review_rows import write_number
from engines.pixels import Pixels
from stream.replay import finish, record_clip
from stream.sources.encode import write_video
from stream.sources.lossless import LosslessWriter
from tests.interrupts import heed_interrupts
from tests.jobs import open_job
from tests.tiny_model import save_tiny

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 320, 240
WAIT_S = 90.0
PROGRAM = """
import sys
import time
from stream import cli
cli.COMMANDS.setdefault("review", ("stream.review_command:review", "Judge frames on a page."))
sys.exit(cli.main())
"""


def numbered(count: int, red_from: int):
    """Yield pictures that carry their number; blue before `red_from`, red from there on."""
    noise = np.random.default_rng(3).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for number in range(count):
        picture = noise.copy()
        colour = 0 if number >= red_from else 2
        picture[..., colour] += np.uint8(50)
        picture[:, :120, colour] += np.uint8(100)  # more would be vivid, and so no ultrasound
        yield write_number(picture, number)


def make_session(folder: Path, count: int = 70, rate_hz: float = 30.0) -> Path:
    """Analyse a numbered clip by the tiny model; the classes are blue and red (positive)."""
    clip = folder / "clip.mp4"
    write_video(clip, numbered(count, 20), rate_hz)
    return analyse(clip, folder)


def write_uneven(path: Path, times_ms: list[int], size_wh: tuple[int, int]) -> Path:
    """Write a clip of numbered grey pictures with the given times and size."""
    width, height = size_wh
    with LosslessWriter(path, ((height, width),), "bt601", True) as writer:
        for number, time_ms in enumerate(times_ms):
            picture = np.full((height, width), 90, np.uint8)
            writer.write(Pixels((write_number(picture, number),)), time_ms * 1_000_000)
    return path


def analyse(clip: Path | str, folder: Path) -> Path:
    """Return the sealed session of a clip."""
    job = open_job(save_tiny(folder), folder / "engines")
    try:
        recorded = record_clip(str(clip), job, folder / "sessions", lambda source: None)
        finish(recorded.folder, recorded.manifest)
    finally:
        job.engine.close()
    return recorded.folder


def write_browser(folder: Path) -> Path:
    """Write a browser that notes its address in `given`, and all command lines in `lines`."""
    path = folder / "browser"
    path.write_text(
        f"#!/bin/sh\ncat /proc/[0-9]*/cmdline > {folder}/lines 2>&1\n"
        f'printf %s "$1" > {folder}/part && mv {folder}/part {folder}/given\n'
    )
    path.chmod(0o700)
    return path


def given_to(browser: Path) -> str:
    """Wait until such a browser was opened and return its address."""
    given, end = browser.with_name("given"), time.monotonic() + WAIT_S
    while not given.exists():
        assert time.monotonic() < end, "no browser was opened"
        time.sleep(0.02)
    return given.read_text()


def descendants(pid: int) -> list[int]:
    """Return the children of a process, theirs, and so on."""
    threads = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    children = [int(child) for found in threads for child in found]
    return [*children, *(pid for child in children for pid in descendants(child))]


class Review:
    """A review that runs in its own process.

    Attributes
    ----------
    address : with the token
    port : of the server
    cookie : as a browser would send it back, once `enter` was called
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", line)
        assert found, line + process.stdout.read()
        self.address, self.port, self.token = found[0], int(found[1]), found[2]
        self.cookie = ""

    def enter(self) -> None:
        """Exchange the token for the cookie."""
        answer, _ = self.ask("GET", f"/?token={self.token}")
        self.cookie = answer.getheader("set-cookie").partition(";")[0]

    def ask(self, method: str, path: str, body: bytes | None = None, **changes: str | None):
        """Send one request as our page would; `changes` replace or take away headers."""
        given = {"Host": f"127.0.0.1:{self.port}"}
        if self.cookie:
            given["Cookie"] = self.cookie
        if method == "POST":
            given |= {"Origin": f"http://127.0.0.1:{self.port}", "Sec-Fetch-Site": "same-origin"}
            given |= {"Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in changes.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def act(self, what: str, target: tuple[int, int] | None = None, value: str = ""):
        """Do an action and return status and answer."""
        body = json.dumps({"what": what, "target": target, "value": value}).encode()
        answer, data = self.ask("POST", "/api/actions", body)
        return answer.status, json.loads(data)

    def wait_for(self, stage: str) -> None:
        """Wait until film or maps are made."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            state = json.loads(self.ask("GET", "/api/progress")[1])[stage]
            if state["state"] in ("ready", "failed"):
                assert state["state"] == "ready", state
                return
            time.sleep(0.05)
        raise AssertionError(f"no {stage}")

    @contextmanager
    def decoder_stopped(self):
        """Keep the child that decodes the clip from going on, once two pieces are made."""
        end = time.monotonic() + WAIT_S
        while json.loads(self.ask("GET", "/api/progress")[1])["film"]["done"] < 64:
            assert time.monotonic() < end, "no pieces"
        children = descendants(self.process.pid)
        assert len(children) > 1, "nothing decodes any more: take a longer clip"
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in children:
                os.kill(pid, signal.SIGCONT)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(10)


@contextmanager
def reviewing(session: Path | str, *flags: str, browser: Path | None = None):
    """Yield the review of a session, entered, in a process of its own; it may open a browser."""
    command = [sys.executable, "-c", PROGRAM, "review", str(session), *flags]
    command += ["--no-browser"] if browser is None else []
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "BROWSER": f"{browser} %s"},
        preexec_fn=heed_interrupts,
    )
    with process:
        try:
            review = Review(process)
            review.enter()
            yield review
        finally:
            if process.poll() is None:
                process.kill()
