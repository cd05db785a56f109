"""Every process killed in turn, a hundred times in all: back each time, nothing stale or left."""

import os
import signal

import pytest

from stream.clock import now_ns
from tests.live_session import LiveSession, alive
from tests.tiny_model import save_tiny
from tests.xvfb import xvfb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROUNDS = 25
BANNER_S, FRESH_S = 0.5, 3.0


def test_a_hundred_kills_are_recovered_from(tmp_path):
    roles = ("recorder", "capture", "viewer", "worker")
    with xvfb() as display, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", display)
        with LiveSession(tmp_path / "s", save_tiny(tmp_path), roles=roles, loop=True) as session:
            session.until_current()
            session.until(lambda view: session.status.roles["viewer"].standing == "up")
            killed = [pid for _ in range(ROUNDS) for pid in kill_each(session, roles)]
            left = [session.pid(role) for role in roles]
            session.stop()
            ledger = session.ledger()
        assert len(killed) == 4 * ROUNDS == len(set(killed))
        assert not any(alive(pid) for pid in killed + left)
        assert ledger["grabbed"] > ROUNDS * 10 and ledger["analysed"] > 0


def kill_each(session, roles):
    """Kill each role and wait until all is as before; yield the processes that were killed."""
    session.order("reset")  # the user forgives: five restarts in a minute would latch
    for role in roles:
        pid, before = session.pid(role), session.status.roles[role].restarts
        worker = session.viewing._newest.result.worker
        killed_ns = now_ns()
        os.kill(pid, signal.SIGKILL)
        if role in ("worker", "capture"):
            title = "AI DOWN" if role == "worker" else "NO VIDEO"
            assert session.until_banner(title, 10) <= BANNER_S + 0.1
        session.until(lambda view, r=role, n=before: came_back(session, r, n), 10)
        session.until_current(10)
        newest = session.viewing._newest.result
        assert newest.captured_ns > killed_ns, "a label from before the kill"
        assert role != "worker" or newest.worker > worker
        yield pid


def came_back(session, role, before):
    status = session.status.roles[role]
    return status.restarts > before and status.standing == "up"
