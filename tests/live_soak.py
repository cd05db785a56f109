"""Live for many minutes with a fault every half minute: ``python -m tests.live_soak [minutes=20]``.

Prints each fault and its recovery, then ledger, memory and descriptors; ends with 1 when something
does not hold. ``seed=N`` after the minutes draws the same faults again.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from engines.open import DEMO_MODEL
from stream.clock import MS, host_id, now_ns
from stream.live.wire.payload import pin_of
from stream.replay_command import DEMO_CLIP
from tests.live_session import LiveSession, alive
from tests.wire_messages import raw_pusher, shake_hands, zmtp
from tests.xvfb import xvfb

ROLES = ("recorder", "capture", "viewer", "worker")
EVERY_S, SAMPLE_S, LIMIT_S = 30.0, 5.0, 40.0
WARM_S = 45.0
"""By then a viewer has filled its history; from here on a process may hardly grow."""
MOST_GROWTH_MIB, MOST_NEW_FDS = 32.0, 6
FOREIGN, BUSY, BUSY_S, SLEEP_S = 500, 4, 5.0, 10.0


class Soak:
    """A session, its faults and what was noted.

    Attributes
    ----------
    problems : what did not hold
    series : (seconds, resident MiB, descriptors) of each (role, pid)
    """

    def __init__(self, session, seed):
        self.session, self.dice = session, random.Random(seed)
        self.problems, self.recoveries = [], []
        self.series, self.deck = {}, []
        self.began_s, self.sampled_s = time.monotonic(), -SAMPLE_S
        self.views = self.current = self.screen_age_us = self.pins = self.recordings = 0

    @property
    def time_s(self):
        return time.monotonic() - self.began_s

    def run(self, minutes):
        """Do a fault every half minute."""
        self.wait_for("start", self.well)
        while self.time_s < minutes * 60:
            until_s = min(minutes * 60, (self.time_s // EVERY_S + 1) * EVERY_S)
            while self.time_s < until_s:
                self.watch()
            if self.time_s < minutes * 60:
                self.fault()
        self.watch()

    def watch(self):
        """Watch a moment; hold what may be drawn against what is known of it."""
        self.session.watch(20)
        now = now_ns()
        view, newest = self.session.viewing.view(now), self.session.viewing._newest
        self.views += 1
        if view.current:
            self.current += 1
            age_ms = (now - newest.result.captured_ns) / MS
            of_now = newest.result.epoch == newest.frame.epoch
            if age_ms > self.session.config.freshness_ms or not of_now:
                self.problems.append(f"stale label at {self.time_s:.1f} s: {age_ms:.0f} ms old")
        if self.time_s - self.sampled_s >= SAMPLE_S:
            self.sample()

    def sample(self):
        """Take memory and descriptors of every process."""
        self.sampled_s = self.time_s
        self.session.seen_frames.clear()
        self.session.seen_results.clear()
        pids = {role: self.session.pid(role) for role in ROLES if self.session.status}
        for role, pid in {**pids, "supervisor": os.getpid()}.items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                taken = (self.time_s, process.memory_info().rss / 2**20, process.num_fds())
                if not taken[1]:
                    continue  # it has ended and nobody has buried it yet
                self.series.setdefault((role, pid), []).append(taken)
        viewer = self.session.status.roles["viewer"] if self.session.status else None
        if viewer:
            self.screen_age_us = max(self.screen_age_us, viewer.counters.get("age_us", 0))

    def well(self):
        """Tell whether every role works and a result may be drawn."""
        status = self.session.status
        if status is None or any(status.roles[role].standing != "up" for role in ROLES):
            return False
        return self.session.viewing.view(now_ns()).current

    def wait_for(self, name, reached):
        """Wait and take note of the seconds."""
        began_s = self.time_s
        while not reached():
            if self.time_s - began_s > LIMIT_S:
                self.problems.append(f"{name}: not well after {LIMIT_S:.0f} s")
                break
            self.watch()
        seconds = self.time_s - began_s
        self.recoveries.append((name, seconds))
        print(f"{self.time_s:7.1f} s  {name}: well after {seconds:.2f} s", flush=True)

    def fault(self):
        """Do the next of a shuffled deck, and wait until all is well."""
        if not self.deck:
            self.deck = [(self.end, role, kind) for role in ROLES for kind in ("KILL", "STOP")]
            self.deck += [(act,) for act in (self.foreign, self.busy, self.sleeper)]
            self.deck += [(act,) for act in (self.record, self.pin)]
            self.dice.shuffle(self.deck)
        act, *arguments = self.deck.pop()
        act(*arguments)

    def end(self, role, kind):
        before = self.session.status.roles[role].restarts
        self.session.kill(role, signal.Signals[f"SIG{kind}"])

        def back():
            return self.session.status.roles[role].restarts > before and self.well()

        self.wait_for(f"SIG{kind} of {role}", back)

    def foreign(self):
        """Bytes that nobody expects, on every socket that takes messages."""
        for end in (self.session.config.endpoints.posts, self.session.config.endpoints.records):
            peer = raw_pusher(end.removeprefix("ipc://"))
            with peer, contextlib.suppress(OSError):
                peer.settimeout(1)
                for _ in range(FOREIGN):
                    peer.sendall(zmtp(self.dice.randbytes(self.dice.randint(0, 3000))))
        self.wait_for("foreign messages", self.well)

    def busy(self):
        loops = [subprocess.Popen([sys.executable, "-c", "while 1: pass"]) for _ in range(BUSY)]
        until_s = self.time_s + BUSY_S
        while self.time_s < until_s:
            self.watch()
        for loop in loops:
            loop.kill()
            loop.wait()
        self.wait_for(f"{BUSY} busy loops for {BUSY_S:.0f} s", self.well)

    def sleeper(self):
        """Subscribers that never read."""
        ends = self.session.config.endpoints
        with contextlib.ExitStack() as stack:
            for end in (ends.frames, ends.results, ends.news):
                peer = stack.enter_context(socket.socket(socket.AF_UNIX))
                peer.connect(end.removeprefix("ipc://"))
                shake_hands(peer, b"SUB")
                peer.sendall(zmtp(b"\x01"))
            until_s = self.time_s + SLEEP_S
            while self.time_s < until_s:
                self.watch()
            self.wait_for(f"sinks that sleep for {SLEEP_S:.0f} s", self.well)

    def record(self):
        self.recordings += 1
        self.session.order("record")
        self.wait_for("recording toggled", self.well)

    def pin(self):
        frame = self.session.viewing.history.to_pin()
        if frame is not None:
            self.pins += 1
            self.session.posts.push(pin_of(frame, host_id()), frame.pixels.planes)
        self.wait_for("pin", self.well)

    def judge_growth(self):
        """Look for a process that goes on growing: its last third stands above the one before.

        A recorder turns an encoder on and off and takes a backlog after it was held up, so its
        first minutes say little about a leak.
        """
        for (role, pid), taken in self.series.items():
            warm = [one for one in taken if one[0] - taken[0][0] >= WARM_S]
            third = len(warm) // 3
            if not third:
                continue
            before, after = warm[-2 * third : -third], warm[-third:]
            growth = median(one[1] for one in after) - median(one[1] for one in before)
            new_fds = max(one[2] for one in warm[-3:]) - warm[0][2]
            if growth > MOST_GROWTH_MIB or new_fds > MOST_NEW_FDS:
                text = f"{role} {pid} grew by {growth:.0f} MiB and {new_fds} descriptors"
                self.problems.append(text)

    def print_processes(self):
        print("process (pid): MiB and descriptors at its start, middle and end")
        for (role, pid), taken in self.series.items():
            points = (taken[0], taken[len(taken) // 2], taken[-1])
            words = ", ".join(f"{at:.0f} s {mib:.0f} MiB {fds}" for at, mib, fds in points)
            print(f"  {role} ({pid}): {words}")


def soak(minutes, seed):
    """Run, print, and return whether everything held."""
    with tempfile.TemporaryDirectory(prefix="sonostream-soak-") as folder, xvfb() as display:
        os.environ["DISPLAY"] = display
        changes = {"module": "stream.live.supervisor.child", "roles": ROLES, "mask": True}
        changes |= {"loop": True, "repeatable": True, "window": True}
        place = Path(folder) / "session"
        with LiveSession(place, DEMO_MODEL, str(DEMO_CLIP), "auto", **changes) as session:
            ran = Soak(session, seed)
            ran.run(minutes)
            took_s = session.stop("the soak is over")
            return report(ran, session, took_s)


def report(ran, session, took_s):
    ran.judge_growth()
    ran.print_processes()
    try:
        print("ledger:", {name: n for name, n in session.ledger().items() if n})
    except AssertionError as error:
        ran.problems.append(f"the ledger does not balance: {error}")
    left = [pid for role, pid in ran.series if role != "supervisor" and alive(pid)]
    pinned = session.rows("SELECT count(*) FROM events WHERE kind = 'pinned'")[0][0]
    recorded = session.rows("SELECT count(*) FROM recorded")[0][0]
    ran.problems += [f"process {pid} was left behind" for pid in left]
    if pinned < ran.pins or (ran.recordings and not recorded):
        ran.problems.append(
            f"{pinned} of {ran.pins} pins and {recorded} pictures are in the journal"
        )
    worst = max(ran.recoveries, key=lambda one: one[1])
    print(f"{len(ran.recoveries) - 1} faults, slowest recovery {worst[1]:.2f} s ({worst[0]})")
    print(f"{ran.views} looks, {ran.current} with a current result; stopped in {took_s:.2f} s")
    print(f"oldest result seen on the real screen {ran.screen_age_us / 1e3:.0f} ms")
    print(f"{pinned} pins, {recorded} recorded pictures")
    for problem in ran.problems:
        print("DOES NOT HOLD:", problem)
    return not ran.problems


if __name__ == "__main__":
    if shutil.which("Xvfb") is None:
        sys.exit("Xvfb is absent")
    words = sys.argv[1:]
    chosen = next((int(word[5:]) for word in words if word.startswith("seed=")), int(time.time()))
    length = next((float(word) for word in words if not word.startswith("seed=")), 20.0)
    print(f"{length:g} minutes, seed {chosen}", flush=True)
    sys.exit(0 if soak(length, chosen) else 1)
