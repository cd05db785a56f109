"""The real window of a real session, killed and stopped."""

import signal

import pytest

from tests.live_session import LiveSession, alive
from tests.tiny_model import save_tiny
from tests.xvfb import xvfb

pytestmark = pytest.mark.timeout(120)
ROLES = ("recorder", "capture", "viewer", "worker")
OTHERS = ("recorder", "capture", "worker")
BACK_S = 2.0


@pytest.fixture
def live(tmp_path):
    with xvfb() as display, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", display)
        with LiveSession(tmp_path / "s", save_tiny(tmp_path), roles=ROLES) as session:
            session.until_current()
            session.until(lambda view: drawn(session) > 0)
            yield session


def drawn(session):
    """Return how many pictures the viewer of now has drawn."""
    viewer = session.status.roles["viewer"]
    return viewer.counters.get("drawn", 0) if viewer.standing == "up" else 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_f22_a_window_that_dies_or_hangs_is_back_and_nobody_else_notices(live, number):
    before, pids = live.pid("viewer"), {role: live.pid(role) for role in OTHERS}
    live.kill("viewer", number)
    took_s = live.until(lambda view: live.pid("viewer") not in (0, before) and drawn(live) > 0)
    assert took_s <= BACK_S + 1.0, "the window itself; a second for a busy machine"
    assert live.watch().current and {role: live.pid(role) for role in OTHERS} == pids
    assert not alive(before)
    live.stop()
    ledger = live.ledger()
    assert ledger["transport_gap"] <= 15 and ledger["not_recorded"] == 0
