"""Roles whose disk, memory or queue misbehaves: ``python -m tests.live_disks ROLE DESCRIPTOR``.

What misbehaves is chosen by options of the source: ``fake:steady?eio=5`` and so on.
"""

from __future__ import annotations

import functools
import resource
import shutil
import sqlite3
import sys
import time
from collections import namedtuple
from pathlib import Path

from stream.clock import now_ns
from stream.live.recorder import recorder
from stream.live.supervisor import child
from stream.live.wire import links
from stream.live.worker import worker
from tests import live_fakes

Usage = namedtuple("Usage", "total used free")


def options_of(config):
    return live_fakes.options_of(config.source.removeprefix("fake:"))[1]


class Disk(sqlite3.Connection):
    """Fails or stalls at a commit, counted over all connections of the process.

    `eio` fails once at that commit, `eios` at that one and all later ones, `stall` waits 5 s once.
    """

    options, commits = {}, 0

    def commit(self):
        Disk.commits += 1
        if Disk.commits == self.options.get("eio"):
            raise sqlite3.OperationalError("disk I/O error")
        if Disk.commits >= self.options.get("eios", float("inf")):
            raise sqlite3.OperationalError("disk I/O error")
        if Disk.commits == self.options.get("stall"):
            time.sleep(5)
        super().commit()


def run_recorder(config, post, stop):
    options = options_of(config)
    shrink_queue(options)
    began_ns = now_ns()
    if "free" in options:  # percent, and another percent after some seconds

        def disk_usage(_folder):
            later = now_ns() - began_ns > options.get("when", 1e9) * 1e9
            percent = options["then"] if later else options["free"]
            return Usage(1000, 1000 - percent * 10, percent * 10)

        shutil.disk_usage = disk_usage
    if "bytes" in options:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(options["bytes"]),) * 2)
    if options.keys() & {"eio", "eios", "stall"} and config.instance == 0:
        Disk.options = options
        sqlite3.connect = functools.partial(sqlite3.connect, factory=Disk)
    return recorder.run_recorder(config, post, stop)


def run_worker(config, post, stop):
    options = options_of(config)
    shrink_queue(options)
    opener = live_fakes.open_chosen
    if "memory" in options and config.instance == 0:

        def opener(wanted, smaller):
            chosen = live_fakes.open_chosen(wanted, smaller)
            have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (have + int(options["memory"]),) * 2)
            return chosen

    if "eats" in options and config.instance == 0:
        worker.Analyser._start = hungry(worker.Analyser._start)
    return worker.run_worker(config, post, stop, opener)


def hungry(step):
    """Take 8 MiB at each frame and keep them, as a leak does."""
    kept = []

    def eat(self, frame):
        kept.append(bytearray(8 << 20))
        return step(self, frame)

    return eat


def shrink_queue(options):
    if "queue" in options:
        links.RECORDED_QUEUE = int(options["queue"])


RUNS = live_fakes.RUNS | {
    "recorder": "tests.live_disks:run_recorder",
    "worker": "tests.live_disks:run_worker",
}

if __name__ == "__main__":
    sys.exit(child.main(sys.argv[1:], RUNS))
