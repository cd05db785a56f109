"""A real live session for tests: real processes, real sockets, and a viewer that only watches."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from stream.clock import MS, host_id, now_ns
from stream.config import AnalysisConfig
from stream.live.supervisor.config import EngineWanted, LiveConfig
from stream.live.supervisor.session import locked, new_session_name, rendezvous, shared_ring
from stream.live.supervisor.supervisor import Ending, Supervisor
from stream.live.viewer.viewing import Viewing
from stream.live.wire.channels import Poller
from stream.live.wire.frames import FrameTaker
from stream.live.wire.links import every_result, hear_news, push_posts, take_all
from stream.live.wire.messages import FrameHeader, ModelNote, Order, ResultHeader, Status
from stream.live.worker.results import decode_result
from stream.session.journal import open_reading
from stream.session.ledger import balances
from stream.session.manifest import read_manifest

ROLES = ("recorder", "capture", "worker")


class LiveSession:
    """Runs a supervisor in a thread and watches as a viewer would.

    Attributes
    ----------
    viewing : what a viewer knows
    status : the supervisor's last word
    """

    def __init__(self, folder, model, source="fake:steady", engine="sound", **changes):
        self.folder, self.stack = folder, ExitStack()
        folder.mkdir(exist_ok=True)
        self.stack.enter_context(locked(folder))
        ends = self.stack.enter_context(rendezvous())
        self.ring = self.stack.enter_context(shared_ring())
        module = changes.pop("module", "tests.live_fakes")
        roles = changes.pop("roles", ROLES)
        self.config = LiveConfig(
            session=new_session_name(),
            started_ns=now_ns(),
            folder=str(folder),
            source=source,
            wanted=EngineWanted(
                model=str(model),
                engine=engine,
                digest=hashlib.sha256(Path(model).read_bytes()).hexdigest(),
            ),
            analysis=changes.pop("analysis", AnalysisConfig()),
            endpoints=ends,
            ring=self.ring.fd,
            **({"mask": False} | changes),
        )
        self.ending, self.stopping = None, None
        self.log = self.stack.enter_context((folder / "live.log").open("ab"))
        self.supervisor = self.stack.enter_context(
            Supervisor(self.config, roles, self.log.fileno(), module)
        )
        self.viewing = Viewing(host_id(), self.config.freshness_ms * MS)
        self.status = None
        self.seen_frames, self.seen_results = [], []

    def __enter__(self):
        self.thread = threading.Thread(target=self._supervise, daemon=True)
        self.thread.start()
        self.frames = self.stack.enter_context(FrameTaker(self._own_ring()))
        self.results = self.stack.enter_context(every_result(self.config))
        self.news = self.stack.enter_context(hear_news(self.config))
        self.posts = self.stack.enter_context(push_posts(self.config))
        self.poller = Poller(self.frames.socket, self.results, self.news)
        return self

    def __exit__(self, *_):
        self.stop()
        self.stack.close()

    def _own_ring(self):
        import msgspec

        return msgspec.structs.replace(self.config, ring=os.dup(self.ring.fd))

    def _supervise(self):
        self.ending = self.supervisor.run(lambda: self.stopping)

    def watch(self, timeout_ms=20):
        """Take what comes; return the view of now."""
        for received in take_all(self.poller, timeout_ms):
            message, now = received.message, now_ns()
            if isinstance(message, FrameHeader):
                frame = self.frames.frame(received)
                if frame is not None:
                    self.seen_frames.append(message)
                    self.viewing.see_frame(message, frame, now)
            elif isinstance(message, ResultHeader):
                self.seen_results.append(message)
                self.viewing.see_result(decode_result(received), now)
            elif isinstance(message, ModelNote):
                self.viewing.see_model(message)
            elif isinstance(message, Status):
                self.status = message
                self.viewing.see_status(message)
            elif isinstance(message, Order) and message.name == "withdraw":
                self.viewing.see_withdrawal(message.last_seq)
        return self.viewing.view(now_ns())

    def until(self, wanted, limit_s=20.0):
        """Watch until `wanted(view)` holds; return the seconds that it took, or fail."""
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            if wanted(self.watch()):
                return time.monotonic() - began
        view = self.watch()
        raise AssertionError(f"not in {limit_s} s: {view}, {self.status}; {self.printed()}")

    def until_banner(self, title, limit_s=20.0):
        return self.until(lambda view: title in titles(view), limit_s)

    def until_current(self, limit_s=30.0):
        """Watch until a result may be drawn and the recorder, where there is one, records."""

        def ready(view):
            recorder = self.status.roles.get("recorder") if self.status else None
            return view.current and (recorder is None or recorder.standing == "up")

        return self.until(ready, limit_s)

    def pid(self, role):
        return self.status.roles[role].pid

    def kill(self, role, number=signal.SIGKILL):
        os.kill(self.pid(role), number)

    def order(self, name, **values):
        self.posts.push(Order(session=self.config.session, name=name, **values))

    def stop(self, cause="stopped by the test"):
        """End the session in order; return how long that took."""
        began = time.monotonic()
        self.stopping = self.stopping or Ending(0, cause)
        self.thread.join(20)
        assert not self.thread.is_alive()
        return time.monotonic() - began

    def printed(self):
        return (self.folder / "live.log").read_text()[-2000:]

    @property
    def manifest(self):
        return read_manifest(self.folder)

    def ledger(self):
        """Return the sealed ledger; it balances and counts all that was grabbed."""
        ledger = self.manifest.ledger
        assert balances(ledger) and ledger["grabbed"] == self.ring.next_seq, ledger
        return ledger

    def rows(self, query):
        with open_reading(self.folder / "journal.sqlite") as db:
            return [tuple(row) for row in db.execute(query)]


def titles(view):
    return [banner.title for banner in view.banners]


def alive(pid):
    """Tell whether a process runs; one that nobody has buried does not."""
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/stat").open() as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False
