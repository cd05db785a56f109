"""What a viewer counts of its draws: their work, and the age of what they show."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from engines.pixels import Pixels
from stream.clock import MS, host_id
from stream.frame import Frame, FrameId, Prediction, StageTimes
from stream.live.supervisor.config import Endpoints, EngineWanted, LiveConfig
from stream.live.viewer import viewer as module
from stream.live.viewer.viewer import _Viewer
from stream.live.worker.results import Result
from tests.test_live_freshness import header, result
from tests.tiny_model import SPEC

CAPTURED_NS = 1_000_000 * MS


class SlowDisplay:
    """Takes 4 ms to draw and 2 ms until the picture is on the screen."""

    def __init__(self, clock):
        self.clock = clock

    def show(self, scene):
        self.clock.ns += 4 * MS

    def poll_keys(self):
        self.clock.ns += 2 * MS
        return ()


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(ns=CAPTURED_NS + 3 * MS)
    monkeypatch.setattr(module, "now_ns", lambda: clock.ns)
    return clock


@pytest.fixture
def viewer(clock):
    config = LiveConfig(
        session="s", started_ns=0, wanted=EngineWanted(model="m"), endpoints=Endpoints()
    )
    frames = SimpleNamespace(torn=0, missed=0)
    viewer = _Viewer(config, mock.Mock(), SlowDisplay(clock), frames)
    used = mock.Mock(spec_set=("spec", "engine"))
    used.spec, used.engine.name = SPEC, "x"
    used.engine.precision, used.engine.standing = "fp32", "default"
    viewer._viewing.see_model(mock.Mock(used=used))
    return viewer


def see_frame(viewer, seq=1):
    host = host_id()
    one = header(epoch=0, seq=seq, before=seq - 1, host=host, captured_ns=CAPTURED_NS)
    pixels = Pixels((np.full((120, 160), 40, np.uint8),))
    frame = Frame(FrameId("s", 0, seq), pixels, CAPTURED_NS, CAPTURED_NS, "")
    viewer._viewing.see_frame(one, frame, module.now_ns())


def see_result(viewer, seq=1):
    one = result(
        epoch=0,
        seq=seq,
        host=host_id(),
        captured_ns=CAPTURED_NS,
        done_ns=CAPTURED_NS + 10 * MS,
        state="ok",
        label="red",
    )
    probs = np.array([0.1, 0.9], np.float32)
    cam = np.full((2, 4, 4), 0.25, np.float32)
    prediction = Prediction(one.id, "ok", "", probs, cam, None, None, StageTimes(0, 0), "")
    viewer._viewing.see_result(Result(one, prediction, probs, None), module.now_ns())


def look(viewer):
    viewer.draw(module.now_ns())
    viewer.obey_keys()
    return viewer.counters


def test_draw_without_a_result_has_no_age_and_says_why(viewer):
    see_frame(viewer)
    counters = look(viewer)
    assert (counters["draws"], counters["draw_us"], counters["age_us"]) == (1, 4_000, 0)
    assert viewer.banner == "AI DOWN"


def test_age_counts_from_capture_until_the_picture_is_on_the_screen(viewer, clock):
    see_frame(viewer)
    clock.ns = CAPTURED_NS + 11 * MS
    see_result(viewer)
    counters = look(viewer)
    assert counters["age_us"] == 17_000
    assert counters["pixel_us"] == 7_000  # the answer was ready 10 ms after capture
    assert viewer.banner == ""


def test_only_the_first_sight_of_a_result_counts_as_shown(viewer, clock):
    see_frame(viewer)
    clock.ns = CAPTURED_NS + 11 * MS
    see_result(viewer)
    look(viewer)
    counters = dict(look(viewer))
    assert (counters["shown"], counters["pixel_us"], counters["age_us"]) == (1, 7_000, 23_000)
    see_result(viewer, seq=2)
    assert look(viewer)["shown"] == 2
