"""When a role is started, ended and given up."""

import pytest

from stream.clock import MS
from stream.live.supervisor.keeper import EXIT_REOPEN, Keeper

S = 1000 * MS


@pytest.fixture
def up():
    keeper = Keeper(20 * S)
    keeper.started(0)
    keeper.beaten(1 * S, "up", "")
    return keeper


def test_a_beat_late_by_a_second_terminates_and_a_second_later_kills(up):
    assert up.due(2 * S - 1) is None
    assert up.due(2 * S) == "terminate" and up.standing == "down"
    assert up.due(3 * S - 1) is None
    assert up.due(3 * S) == "kill"


def test_a_beat_puts_the_deadline_off(up):
    up.beaten(19 * S // 10, "up", "")
    assert up.due(29 * S // 10 - 1) is None


def test_what_is_being_ended_cannot_beat_itself_alive(up):
    up.due(2 * S)
    up.beaten(2 * S + 1, "up", "")
    assert up.due(3 * S) == "kill"


def test_a_start_may_take_longer_than_a_beat():
    keeper = Keeper(20 * S)
    keeper.started(0)
    keeper.beaten(5 * S, "starting", "")
    assert keeper.due(20 * S - 1) is None and keeper.due(20 * S) == "terminate"


def test_f04_fifth_restart_within_a_minute_latches():
    keeper = Keeper(20 * S)
    answers = [keeper.ended(n * S, 1, "raised at load") for n in range(5)]
    assert answers == ["start"] * 4 + [None]
    assert (keeper.standing, keeper.cause) == ("off", "raised at load")


def test_faults_that_are_a_minute_apart_never_latch():
    keeper, actions = Keeper(20 * S), set()
    for n in range(50):
        keeper.started(n * 16 * S)
        keeper.beaten(n * 16 * S + 1, "up", "")
        actions.add(keeper.ended(n * 16 * S + 2, 1, ""))
    assert actions == {"start"}


def test_f04_five_tries_that_never_came_up_latch_however_slow():
    keeper, actions = Keeper(200 * S), []
    for n in range(5):
        keeper.started(n * 100 * S)
        keeper.beaten(n * 100 * S + 1, "starting", "")
        actions.append(keeper.ended((n + 1) * 100 * S, 1, "raised at load"))
    assert actions == ["start"] * 4 + [None]


def test_f05_what_opens_its_engine_anew_has_the_time_of_a_start(up):
    up.beaten(2 * S, "starting", "out of memory; trying a smaller setting")
    up.beaten(3 * S, "starting", "out of memory; trying a smaller setting")
    assert up.due(22 * S - 1) is None and up.due(22 * S) == "terminate"


def test_f14_reopening_a_source_never_counts_as_a_fault():
    keeper = Keeper(20 * S)
    assert {keeper.ended(n, EXIT_REOPEN, "") for n in range(50)} == {"start"}


def test_reset_starts_what_is_latched_and_forgets():
    keeper = Keeper(20 * S)
    for n in range(5):
        keeper.ended(n, 1, "")
    assert keeper.reset(9) == "start" and keeper.reset(9) is None
    assert keeper.ended(10, 1, "") == "start"


def test_a_latched_role_is_beaten_by_nobody():
    keeper = Keeper(20 * S)
    for n in range(5):
        keeper.ended(n, 1, "cause")
    keeper.beaten(9, "up", "")
    assert keeper.standing == "off"


def test_since_tells_when_the_standing_changed(up):
    up.beaten(3 * S, "up", "")
    assert up.since_ns == 1 * S
