"""What may be drawn, worked by hand."""

from dataclasses import replace

import pytest

from stream.clock import MS
from stream.live.viewer.freshness import Newest, judge, stalled_after_ns
from stream.live.wire.messages import FrameHeader, PixelLayout, ResultHeader, RoleStatus, Status

NOW = 10_000 * MS
LAYOUT = PixelLayout(shapes=((120, 160),), matrix="bt601", full_range=True)


def header(age_ms=20, **changes):
    values = {
        "session": "s",
        "epoch": 0,
        "seq": 7,
        "host": "h",
        "captured_ns": NOW - age_ms * MS,
        "pts_ns": None,
        "before": 6,
        "period_ns": 40 * MS,
        "pixels": LAYOUT,
        "slot": 0,
        "damage": None,
        "frozen": False,
        "masked": True,
        "source": "phantom",
    }
    return FrameHeader(**values | changes)


def result(age_ms=60, **changes):
    values = {
        "session": "s",
        "epoch": 0,
        "seq": 6,
        "host": "h",
        "captured_ns": NOW - age_ms * MS,
        "pts_ns": None,
        "worker": 0,
        "number": 3,
        "state": "ok",
        "reason": "",
        "label": "normal",
        "distance": None,
        "preprocess_ns": 0,
        "engine_ns": 0,
        "done_ns": NOW,
        "model_digest": "",
        "engine": "",
    }
    return ResultHeader(**values | changes)


def role(standing="up", cause="", facts=()):
    return RoleStatus(
        standing=standing,
        cause=cause,
        since_ns=0,
        restarts=0,
        pid=1,
        counters={},
        facts=dict(facts),
    )


def newest(frame_age=20, result_age=60, status=None, frame=(), answer=()):
    one, other = header(frame_age, **dict(frame)), result(result_age, **dict(answer))
    return Newest(one, one.captured_ns, other, other.captured_ns, status)


def status(**roles):
    whole = {name: role() for name in ("capture", "worker", "viewer", "recorder")} | roles
    return Status(session="s", number=1, sent_ns=NOW, roles=whole)


def titles(view):
    return [banner.title for banner in view.banners]


def test_fresh_result_of_the_epoch_is_current():
    view = judge(NOW, newest(), 250 * MS)
    assert view.current and view.live and view.banners == ()


@pytest.mark.parametrize(("age", "current"), [(250, True), (251, False)])
def test_result_is_fresh_up_to_the_limit(age, current):
    assert judge(NOW, newest(result_age=age), 250 * MS).current is current


def test_old_result_brings_ai_down_and_video_goes_on():
    view = judge(NOW, newest(result_age=300), 250 * MS)
    assert titles(view) == ["AI DOWN"] and view.live and not view.current


def test_f26_result_of_another_epoch_or_session_is_not_current():
    for change in ({"epoch": 1}, {"session": "t"}):
        assert not judge(NOW, newest(answer=change), 250 * MS).current


def test_f19_result_from_the_future_is_not_current():
    assert not judge(NOW, newest(result_age=-50), 250 * MS).current


@pytest.mark.parametrize(("period", "limit"), [(10, 160), (40, 190), (100, 300), (0, 190)])
def test_video_stalls_after_three_periods_or_a_period_and_150_ms(period, limit):
    assert stalled_after_ns(period * MS) == limit * MS


def test_f11_stalled_video_withdraws_the_result():
    view = judge(NOW, newest(frame_age=200, result_age=210), 250 * MS)
    assert titles(view) == ["VIDEO STALLED"] and not view.current and not view.live


def test_f13_lost_source_is_told_with_its_cause():
    down = status(capture=role("down", "the device was removed"))
    (banner,) = judge(NOW, newest(status=down), 250 * MS).banners
    assert (banner.title, banner.cause) == ("NO VIDEO", "the device was removed")


def test_f04_given_up_worker_is_ai_off():
    view = judge(NOW, newest(result_age=900, status=status(worker=role("off", "x"))), 250 * MS)
    assert titles(view) == ["AI OFF"]


def test_f07_withdrawn_result_is_not_drawn_though_fresh():
    marked = status(worker=role(facts=[("withdrawn", "probe failed")]))
    view = judge(NOW, newest(status=marked), 250 * MS)
    assert titles(view) == ["AI WITHDRAWN"] and not view.current


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("no_signal", "NO SIGNAL"),
        ("uniform", "NO SIGNAL"),
        ("not_ultrasound", "NOT AN IMAGE"),
        ("damaged", "DAMAGED PICTURE"),
        ("failed_infer", "NO RESULT"),
    ],
)
def test_f16_frame_that_is_not_believed_shows_no_class(state, title):
    view = judge(NOW, newest(answer={"state": state}), 250 * MS)
    assert titles(view) == [title] and not view.current and view.live


def test_f15_frozen_image_is_a_note_and_the_result_stays():
    view = judge(NOW, newest(frame={"frozen": True}), 250 * MS)
    assert view.current and [b.level for b in view.banners] == ["note"]


def test_f09_f17_f27_side_banners_stand_beside_the_result():
    roles = status(
        worker=role(facts=[("throttled", "97 °C")]), recorder=role("down", "the disk is full")
    )
    seen = replace(newest(status=roles), format_changed_ns=NOW - 1000 * MS)
    view = judge(NOW, seen, 250 * MS)
    assert view.current
    assert titles(view) == ["FORMAT CHANGED", "THROTTLED", "RECORDING STOPPED"]


def test_nothing_yet_is_no_video():
    assert titles(judge(NOW, Newest(), 250 * MS)) == ["NO VIDEO"]


def test_first_start_of_the_engine_is_no_alarm():
    seen = replace(newest(status=status(worker=role("starting"))), result=None)
    (banner,) = judge(NOW, seen, 250 * MS).banners
    assert (banner.title, banner.level) == ("AI STARTING", "note")
