"""Facts about a running session as the recorder and late or slow watchers see it."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stream.clock import MS, host_id, now_ns
from stream.live.recorder.ranking import decode_ranking
from stream.live.supervisor.role import Post
from stream.live.viewer.viewer import _Viewer
from stream.live.viewer.viewing import Viewing
from stream.live.wire.channels import Poller
from stream.live.wire.frames import FrameTaker
from stream.live.wire.links import every_result, hear_news, push_records
from stream.live.wire.messages import Pin, Ranking, ResultHeader, Status
from stream.live.wire.payload import layout_of
from stream.session.account import AWAY, LOST_ANSWERS
from tests.live_session import LiveSession, titles
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)
ROOT = Path(__file__).parents[2]
FRAME_BYTES = 160 * 120 * 3


@pytest.fixture
def live(tmp_path):
    with LiveSession(tmp_path / "s", save_tiny(tmp_path)) as session:
        session.until_current()
        yield session


def watch_for(live, seconds):
    """Watch for so long; return the views."""
    views, end_ns = [], now_ns() + round(seconds * 1e9)
    while now_ns() < end_ns:
        views.append(live.watch())
    return views


def key_frames(live):
    return live.rows("SELECT epoch, seq, displaced FROM ranked WHERE pinned = 0 ORDER BY rank")


def test_a_recorder_killed_in_mid_session_goes_on_from_the_journal(live):
    watch_for(live, 1.5)
    killed_at = live.seen_results[-1].seq
    live.kill("recorder")
    live.until(lambda view: live.status.roles["recorder"].restarts == 1)
    assert live.watch().current, "nobody waits for the recorder"
    live.until(lambda view: live.status.roles["recorder"].standing == "up")
    watch_for(live, 1.5)
    live.stop()
    ledger = live.ledger()
    assert live.rows("SELECT max(seq) FROM frames")[0][0] > killed_at + 30
    lost = live.rows("SELECT first_seq, last_seq, reason FROM losses WHERE name = 'not_recorded'")
    assert sum(last - first + 1 for first, last, _ in lost) == ledger["not_recorded"] <= 30
    assert {reason for *_, reason in lost} <= {AWAY, LOST_ANSWERS}
    labels = dict(live.rows("SELECT label, count(*) FROM frames GROUP BY label"))
    assert live.manifest.verdict.total == ledger["grabbed"]
    assert live.manifest.verdict.valid == sum(labels.values()) - labels.get("", 0)
    assert_key_frames_are_those_of_the_events(live)


def assert_key_frames_are_those_of_the_events(live):
    """Play the events of the ranker: what entered and was not displaced is what is left."""
    kept = set()
    for epoch, seq, text in live.rows("SELECT epoch, seq, text FROM events WHERE kind = 'kept'"):
        kept.add((epoch, seq))
        if text.startswith("displaced"):
            kept.remove(tuple(int(part) for part in text.split()[1].split(":")))
    assert {(epoch, seq) for epoch, seq, _ in key_frames(live)} == kept


def test_f30_what_was_answered_is_synced_at_the_latest_after_100_ms(live):
    watch_for(live, 1)
    live.kill("worker")  # after its last answer nothing more comes that could push it out
    last = live.seen_results[-1].seq
    watch_for(live, 0.3)
    last = max(last, live.seen_results[-1].seq)
    assert live.rows("SELECT max(seq) FROM frames")[0][0] >= last
    live.stop()
    live.ledger()


def test_f23_a_slow_sink_has_its_own_drops_and_disturbs_nobody(live):
    with FrameTaker(live._own_ring()) as slow:
        live.until(lambda view: slow.take(0) is not None)
        before_kib = resident_kib(live, "capture")
        for _ in range(3):
            views = watch_for(live, 1)
            assert all(view.current for view in views)
            header, _ = slow.take(100)
            assert header.seq >= live.seen_frames[-1].seq - 2, "the newest, not the oldest"
        assert slow.missed >= 60
        assert resident_kib(live, "capture") - before_kib < 90 * FRAME_BYTES / 1024 / 3
    live.stop()
    assert live.ledger()["capture_drop"] == 0


def resident_kib(live, role):
    lines = Path(f"/proc/{live.pid(role)}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_f24_a_viewer_that_comes_late_knows_all_within_a_second(tmp_path):
    source = "fake:freezes?after=30"  # so that the key frames change no more
    with LiveSession(tmp_path / "s", save_tiny(tmp_path), source) as live:
        live.until_current()
        live.until(lambda view: live.seen_frames[-1].seq > 90)
        with (
            hear_news(live.config) as news,
            FrameTaker(live._own_ring()) as frames,
            every_result(live.config) as results,
        ):
            live.frames, live.poller = frames, Poller(frames.socket, results)
            live.viewing = Viewing(host_id(), live.config.freshness_ms * MS)
            heard = {}

            def knows(view):
                while (received := news.receive(0)) is not None:
                    heard[type(received.message)] = received
                return view.current and {Status, Ranking} <= heard.keys()

            assert live.until(knows, 10) <= 1.1, "state and result 1 s, and the key frames"
            assert live.viewing._newest.result.captured_ns > now_ns() - 250 * MS
        keys = [note.seq for note, _ in decode_ranking(heard[Ranking])]
        live.stop()
        assert keys == [seq for _, seq, _ in key_frames(live)] and len(keys) == 5
        live.ledger()


def test_f26_messages_of_a_past_epoch_or_another_session_are_dropped_and_counted(live):
    recorded = []
    with every_result(live.config) as spy:
        while len(recorded) < 20:
            live.watch()
            received = spy.receive(0)
            if received is not None and isinstance(received.message, ResultHeader):
                recorded.append(received)
        live.kill("capture")
        live.until(lambda view: live.viewing._newest.frame.epoch == 1)
        live.until_current()
        watch_for(live, 0.3)
        with push_records(live.config) as pusher:
            for received in recorded:
                foreign = msgspec.structs.replace(received.message, session="another")
                pusher.push(received.message, [received.payload])
                pusher.push(foreign, [received.payload])
            counters = lambda: live.status.roles["recorder"].counters  # noqa: E731
            live.until(lambda view: counters()["refused"] == 40)
    live.stop()
    live.ledger()
    assert live.rows("SELECT count(*) FROM frames") == live.rows(
        "SELECT count(DISTINCT seq) FROM frames"
    )
    assert live.manifest.verdict.total == live.ring.next_seq
    assert_key_frames_are_those_of_the_events(live)


def test_a_pin_and_a_snapshot_reach_journal_and_folder(live):
    with FrameTaker(live._own_ring()) as frames, Post(live.config, "viewer") as post:
        viewer = _Viewer(live.config, post, Keys("s"), frames)
        live.until(lambda view: live.viewing._result.pixels is None and live.seen_results)
        received = None
        while received is None:
            live.watch()
            received = frames.socket.receive(50)
        viewer.hear(received)
        viewer.obey_keys()
        result, pixels = live.seen_results[-1], live.viewing._frame.pixels
        values = {name: getattr(result, name) for name in ("session", "epoch", "seq", "host")}
        pin = Pin(**values, captured_ns=result.captured_ns, pts_ns=None, pixels=layout_of(pixels))
        live.posts.push(pin, pixels.planes)
        watch_for(live, 0.5)
        live.stop()
    assert live.rows("SELECT epoch, seq FROM events WHERE kind = 'pinned'") == [
        (result.epoch, result.seq)
    ]
    assert (result.epoch, result.seq) in live.rows("SELECT epoch, seq FROM ranked")
    snapshot = live.rows("SELECT text FROM events WHERE kind = 'snapshot'")[0][0]
    assert (live.folder / snapshot.removeprefix("viewer: ")).read_bytes().startswith(b"\x89PNG")
    live.ledger()


class Keys:
    """A display on which somebody presses one key."""

    def __init__(self, key):
        self.keys = [key]

    def poll_keys(self):
        keys, self.keys = tuple(self.keys), []
        return keys

    def picture_bgr(self):
        return np.zeros((8, 8, 3), np.uint8)


STEPPING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
/* The wall clock leaps an hour back and forth, five times a second; no other clock is touched. */
static time_t leap(void) {
    struct timespec now;
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    real(CLOCK_BOOTTIME, &now);
    return (now.tv_nsec / 100000000) % 2 ? 3600 : -3600;
}
int clock_gettime(clockid_t clock, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, out);
    if (clock == CLOCK_REALTIME) out->tv_sec += leap();
    return status;
}
int gettimeofday(struct timeval *out, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.fixture
def leaping_wall_clock(tmp_path, monkeypatch):
    """Let every process that is started from here on live with a wall clock that leaps."""
    source, library = tmp_path / "leap.c", tmp_path / "leap.so"
    source.write_text(STEPPING)
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    monkeypatch.setenv("LD_PRELOAD", str(library))
    asked = subprocess.check_output([sys.executable, "-c", "import time; print(time.time())"])
    assert abs(float(asked) - time.time()) > 3000, "the library works"


def test_f20_a_leaping_wall_clock_changes_no_age_no_banner_and_no_row(leaping_wall_clock, tmp_path):
    with LiveSession(tmp_path / "s", save_tiny(tmp_path)) as live:
        live.until_current()
        views = watch_for(live, 2)
        assert all(view.current and not titles(view) for view in views), "no false alarm"
        ages = [result.done_ns - result.captured_ns for result in live.seen_results]
        assert min(ages) >= 0 and max(ages) < 1000 * MS
        live.kill("worker")
        assert live.until_banner("AI DOWN", 10) <= 0.6, "no alarm missed"
        live.until_current()
        live.stop()
        times = [row[0] for row in live.rows("SELECT time_ns FROM frames ORDER BY seq")]
        assert times == sorted(times) and times[0] >= 0 and times[-1] < now_ns()
        assert times[-1] - times[0] < 60e9
        live.ledger()


def test_f20_only_labels_are_made_of_wall_time():
    """Whatever reads the wall clock is one of these; each of them makes text for people."""
    labels = {"stream/session/manifest.py": 1, "stream/live/viewer/viewing.py": 1}
    wall = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.strftime"}
    wall |= {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    found = {}
    for folder in ("stream/live", "stream/session", "stream/analysis", "stream/sources/live"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.walk(ast.parse(path.read_text()))
            names = [ast.unparse(node.func) for node in tree if isinstance(node, ast.Call)]
            count = sum(name in wall for name in names)
            found |= {str(path.relative_to(ROOT)): count} if count else {}
    assert found == labels


def test_f33_a_worker_short_of_memory_fails_alone_and_is_replaced(tmp_path):
    source = "fake:steady?memory=400000000&eats=1"
    model = save_tiny(tmp_path)
    with LiveSession(tmp_path / "s", model, source, module="tests.live_disks") as live:
        live.until_current()
        others = {role: live.pid(role) for role in ("capture", "recorder")}
        live.until(lambda view: live.status.roles["worker"].restarts == 1)
        live.until_current()
        watch_for(live, 1)
        assert others == {role: live.pid(role) for role in others}
        assert live.status.roles["worker"].restarts == 1
        live.stop()
        assert live.ledger()["analysed"] > 20
