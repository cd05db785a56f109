"""`stream live --no-window` as its user starts it: a process of its own, with children."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from engines.pixels import Pixels
from stream.clock import MS, host_id, now_ns
from stream.errors import StorageError
from stream.frame import Frame
from stream.live.viewer.viewing import Viewing
from stream.live.wire.channels import Poller, Subscriber
from stream.live.wire.codec import RESULTS, SHARED_FRAMES, STATUS
from stream.live.wire.endpoints import Link
from stream.live.wire.links import take_all
from stream.live.wire.messages import FrameHeader, ResultHeader, Status
from stream.live.worker.results import decode_result
from stream.session.journal import open_reading
from stream.session.ledger import balances
from stream.session.manifest import read_manifest
from tests.interrupts import heed_interrupts
from tests.live_session import alive

SOURCE = "phantom:kidney?seconds=3600"


class LiveCommand:
    """A session started from the command line, its sockets in a folder of its own.

    Attributes
    ----------
    folder : of the session
    sockets : where the folders of sockets are made
    """

    def __init__(self, out, model, *flags, name="s", sockets=None):
        self.folder = out / name
        self.made = sockets is None
        self.sockets = sockets or Path(tempfile.mkdtemp(prefix="sono-", dir="/tmp"))
        self.printed = out / f"{name}-{time.monotonic_ns()}.txt"
        command = [sys.executable, "-m", "stream.cli", "live", SOURCE, "--no-window", "--no-mask"]
        command += ["--model", str(model), "--engine", "onnxruntime"]
        command += ["--out", str(out), "--name", name, *flags]
        self.began_ns = now_ns()
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                env={**os.environ, "TMPDIR": str(self.sockets)},
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        if self.made:
            shutil.rmtree(self.sockets)

    def pids(self):
        """Return every process that was started, directly or not, and still runs."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[3] == str(self.process.pid) and alive(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def signal_all(self, number):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self, limit_s):
        """Wait for the end; return the exit status and how long it took."""
        began = time.monotonic()
        return self.process.wait(limit_s), time.monotonic() - began

    def wait_running(self, limit_s=30.0):
        """Wait until the journal has an answered frame."""
        until(lambda: self.rows("SELECT count(*) FROM frames") > [(0,)], limit_s, self.text)

    def rows(self, query):
        try:
            with open_reading(self.folder / "journal.sqlite") as db:
                return [tuple(row) for row in db.execute(query)]
        except StorageError:
            return []

    def text(self):
        return self.printed.read_text()

    def assert_sealed(self):
        """Check that the folder is absent, or holds a sealed journal and nothing of the run."""
        if not self.folder.exists():
            return
        assert not list(self.folder.glob(".*")), list(self.folder.iterdir())
        assert not list(self.folder.glob("*-wal")), "the journal is one file"
        ledger = dict(self.rows("SELECT * FROM ledger"))
        assert ledger and balances(ledger), self.text()
        if (self.folder / "manifest.json").exists():
            manifest = read_manifest(self.folder)
            assert manifest.complete and manifest.ledger == ledger
        else:
            assert not self.rows("SELECT * FROM frames")


class Watcher:
    """Looks at a running session from outside, as a viewer without pixels."""

    def __init__(self, command):
        (room,) = command.sockets.glob("sonostream-live-*")
        self.channels = [
            Subscriber(Link(f"ipc://{room}/frames"), SHARED_FRAMES),
            Subscriber(Link(f"ipc://{room}/results"), RESULTS),
            Subscriber(Link(f"ipc://{room}/news"), STATUS),
        ]
        self.poller = Poller(*self.channels)
        self.viewing = Viewing(host_id(), 250 * MS)
        self.statuses = []

    def close(self):
        for channel in self.channels:
            channel.close()

    def watch(self):
        for received in take_all(self.poller, 10):
            message, now = received.message, now_ns()
            if isinstance(message, FrameHeader):
                pixels = Pixels((np.zeros((2, 2), np.uint8),))
                frame = Frame(message.id, pixels, message.captured_ns, None, "")
                self.viewing.see_frame(message, frame, now)
            elif isinstance(message, ResultHeader):
                self.viewing.see_result(decode_result(received), now)
            elif isinstance(message, Status):
                self.statuses.append(message)
                self.viewing.see_status(message)
        return self.viewing.view(now_ns())


def until(wanted, limit_s, words=str):
    """Wait until something holds; return how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        if wanted():
            return time.monotonic() - began
        select.select([], [], [], 0.02)
    raise AssertionError(f"not in {limit_s} s: {words()}")
