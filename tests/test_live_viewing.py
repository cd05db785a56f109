"""What a viewer makes of frames and results: history, freezing, pins, clocks of other machines."""

import numpy as np
import pytest

from engines.pixels import Pixels
from stream.clock import MS
from stream.frame import Frame, FrameId, Prediction, StageTimes
from stream.live.viewer.history import MAX_BYTES, History
from stream.live.viewer.hostclock import HostClock
from stream.live.worker.results import Result
from tests.test_live_freshness import result

S = 1000 * MS


def frame(seq, side=8):
    pixels = Pixels((np.full((side, side), seq % 256, np.uint8),))
    return Frame(FrameId("s", 0, seq), pixels, seq * 40 * MS, None, "")


def answer(seq):
    header = result(seq=seq)
    probs = np.array([0.1, 0.9], np.float32)
    prediction = Prediction(header.id, "ok", "", probs, None, None, None, StageTimes(0, 0), "")
    return Result(header, prediction, probs, None)


@pytest.fixture
def history():
    """Four seconds at 25 frames a second; every fourth frame has an answer."""
    history = History()
    for seq in range(100):
        history.add_frame(frame(seq), seq * 40 * MS, masked=True)
        if seq % 4 == 0:
            history.add_result(answer(seq))
    return history


def test_freezing_stops_at_the_newest_frame_and_goes_on(history):
    history.freeze()
    assert history.frozen.frame.id.seq == 99
    history.add_frame(frame(100), 100 * 40 * MS, masked=True)
    assert history.frozen.frame.id.seq == 99
    history.freeze()
    assert history.frozen is None


def test_steps_go_back_a_tenth_of_a_second_and_stop_at_the_ends(history):
    history.step(-1)
    first = history.frozen
    history.step(-1)
    assert first.captured_ns - history.frozen.captured_ns == 120 * MS  # every third frame is kept
    for _ in range(200):
        history.step(-1)
    assert history.frozen.frame.id.seq == 0
    for _ in range(200):
        history.step(1)
    assert history.frozen.frame.id.seq == 99


def test_pin_takes_the_nearest_answered_frame_not_after_the_one_looked_at(history):
    assert history.to_pin().id.seq == 96  # kept are 0, 3, 6 ..., answered 0, 4, 8 ...
    history.step(-5)
    looked_at = history.frozen.frame.id.seq
    pinned = history.to_pin().id.seq
    assert pinned % 4 == 0 and looked_at - 12 < pinned <= looked_at


def test_nothing_answered_pins_nothing():
    history = History()
    history.add_frame(frame(0), 0, masked=True)
    assert history.to_pin() is None


def test_history_is_bounded_in_bytes():
    history = History()
    for seq in range(60):
        history.add_frame(frame(seq, side=4096), seq * 100 * MS, masked=True)
    assert sum(moment.frame.pixels.nbytes for moment in history._moments) <= MAX_BYTES


def test_own_clock_is_exact():
    assert HostClock("h").local_ns("h", 123) == 123


def test_another_machine_is_unknown_until_it_was_heard():
    assert HostClock("h").local_ns("other", 123) is None


def test_age_on_another_machine_counts_delay_beyond_the_shortest():
    clock = HostClock("h")
    for stamp, arrival in ((0, 1007 * MS), (40 * MS, 1045 * MS), (80 * MS, 1183 * MS)):
        clock.observe("other", stamp, arrival)
    # The second message took least; the third 98 ms longer.
    assert 1183 * MS - clock.local_ns("other", 80 * MS) == pytest.approx(98 * MS, abs=0.1 * MS)


def test_drift_of_another_clock_is_followed():
    clock = HostClock("h")
    for second in range(600):  # the other clock is slow by 50 parts in a million
        clock.observe("other", round(second * S * (1 - 50e-6)), second * S + 5 * MS)
    late = 599 * S + 5 * MS - clock.local_ns("other", round(599 * S * (1 - 50e-6)))
    assert abs(late) < 1 * MS
