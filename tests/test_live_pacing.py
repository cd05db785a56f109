"""Facts about when the viewer draws: with the result where that comes soon, never late."""

import pytest

from stream.clock import MS
from stream.frame import FrameId
from stream.live.pacing import HOLD_NS, LATE_NS, REDRAW_NS, Pacing

PERIOD_NS = 40 * MS


def frame(number):
    return FrameId("s", 0, number)


@pytest.fixture
def paired():
    """Pacing that has seen frame 0 answered soon, and drawn."""
    pacing = Pacing()
    pacing.came_frame(frame(0), 0)
    pacing.came_result(frame(0), 8 * MS)
    pacing.drawn(8 * MS)
    return pacing


def test_first_picture_is_drawn_at_once():
    pacing = Pacing()
    pacing.came_frame(frame(0), PERIOD_NS)
    assert pacing.due(PERIOD_NS)


def test_picture_waits_for_its_result_where_those_come_soon(paired):
    paired.came_frame(frame(1), PERIOD_NS)
    assert not paired.due(PERIOD_NS + 5 * MS)
    paired.came_result(frame(1), PERIOD_NS + 6 * MS)
    assert paired.due(PERIOD_NS + 6 * MS)


def test_picture_does_not_wait_for_the_result_of_another(paired):
    paired.came_frame(frame(1), PERIOD_NS)
    paired.came_result(frame(0), PERIOD_NS + MS)
    assert not paired.due(PERIOD_NS + 2 * MS)


def test_picture_waits_no_longer_than_the_hold_and_the_next_not_at_all(paired):
    paired.came_frame(frame(1), PERIOD_NS)
    assert paired.due(PERIOD_NS + HOLD_NS)
    paired.drawn(PERIOD_NS + HOLD_NS)
    paired.came_frame(frame(2), 2 * PERIOD_NS)
    assert paired.due(2 * PERIOD_NS)


def test_pictures_wait_again_when_results_come_soon_again(paired):
    paired.came_frame(frame(1), PERIOD_NS)
    paired.drawn(PERIOD_NS + HOLD_NS)
    paired.came_frame(frame(2), 2 * PERIOD_NS)
    paired.drawn(2 * PERIOD_NS)
    paired.came_result(frame(2), 2 * PERIOD_NS + 9 * MS)
    paired.came_frame(frame(3), 3 * PERIOD_NS)
    assert not paired.due(3 * PERIOD_NS)


def test_pictures_do_not_wait_where_results_come_late(paired):
    paired.came_frame(frame(1), PERIOD_NS)
    paired.came_result(frame(1), PERIOD_NS + HOLD_NS + MS)
    paired.drawn(PERIOD_NS + HOLD_NS + MS)
    paired.came_frame(frame(2), 2 * PERIOD_NS)
    assert paired.due(2 * PERIOD_NS)


def test_late_result_is_drawn_for_its_own_sake():
    pacing = Pacing()
    pacing.came_frame(frame(0), 0)
    pacing.drawn(0)
    pacing.came_result(frame(0), LATE_NS)
    assert pacing.due(LATE_NS)


def test_late_result_waits_while_the_last_draw_is_young():
    pacing = Pacing()
    pacing.came_frame(frame(0), 0)
    pacing.drawn(0)
    pacing.came_result(frame(0), LATE_NS - MS)
    assert not pacing.due(LATE_NS - MS)


def test_screen_is_drawn_anew_when_nothing_comes(paired):
    assert not paired.due(8 * MS + REDRAW_NS - 1)
    assert paired.due(8 * MS + REDRAW_NS)
