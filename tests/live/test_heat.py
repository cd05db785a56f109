"""When the rate is halved, by how much, and until when."""

import time
from itertools import pairwise

import pytest

from stream.clock import MS
from stream.live.worker.heat import CALM_NS, COOL_C, HOT_C, Heat, Throttle, read_heat
from tests.live_session import LiveSession, titles
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)
S = 1000 * MS


def readings(throttle, temperatures):
    """Return at which of the temperatures the rate is halved."""
    found = []
    for number, hottest_c in enumerate(temperatures):
        throttle.update(Heat(hottest_c, 0), number * S)
        found.append(bool(throttle.words))
    return found


def answered(throttle, engine_ns, period_ns=33 * MS, length_ns=30 * S):
    """Return how many frames of a source are answered by an engine that takes so long."""
    count, free_ns = 0, 0
    for now_ns in range(0, length_ns, period_ns):
        if now_ns < free_ns or throttle.skips(now_ns):
            continue
        free_ns = now_ns + engine_ns
        throttle.worked(now_ns, free_ns)
        count += 1
    return count


@pytest.fixture
def hot():
    throttle = Throttle()
    throttle.update(Heat(HOT_C + 0.1, 0), 0)
    return throttle


def test_f09_the_rate_is_halved_above_one_limit_until_below_the_other():
    around = [HOT_C - 0.1, HOT_C, HOT_C + 0.1, HOT_C - 0.1, COOL_C + 0.1, COOL_C, COOL_C - 0.1]
    assert readings(Throttle(), around) == [False, False, True, True, True, False, False]


@pytest.mark.parametrize("limit_c", [HOT_C, COOL_C])
def test_f09_a_temperature_that_wavers_around_a_limit_does_not_flap(limit_c):
    halved = readings(Throttle(), [HOT_C + 1, *[limit_c + 0.5, limit_c - 0.5] * 20])
    assert sum(a != b for a, b in pairwise(halved)) <= 1


def test_f09_the_screen_has_the_value(hot):
    hot.update(Heat(96.7, 0), S)
    assert hot.words == "97 °C, half the rate"


@pytest.mark.parametrize("engine_ns", [5 * MS, 30 * MS, 100 * MS, 250 * MS])
def test_f09_half_as_many_frames_are_answered_whatever_the_engine_takes(hot, engine_ns):
    full, half = answered(Throttle(), engine_ns), answered(hot, engine_ns)
    assert half == pytest.approx(full / 2, rel=0.15)  # frames come one by one


def test_f09_a_processor_that_slows_itself_down_halves_the_rate_for_a_while():
    throttle = Throttle()
    throttle.update(Heat(80.0, 7), 0)
    assert not throttle.words  # it did so before we came
    throttle.update(Heat(80.0, 9), S)
    assert throttle.words == "80 °C, slowed down 9 times, half the rate"
    throttle.update(Heat(80.0, 9), S + CALM_NS - 1)
    assert throttle.words
    throttle.update(Heat(80.0, 9), S + CALM_NS)
    assert not throttle.words


def test_f09_a_machine_without_sensors_is_never_throttled(tmp_path):
    throttle = Throttle()
    throttle.update(read_heat(tmp_path / "none", tmp_path / "none"), 0)
    assert not throttle.words and not throttle.skips(0)


def test_f09_the_hottest_zone_and_all_slow_downs_are_read(tmp_path):
    for zone, text in {"0": "41000\n", "1": "96500\n", "2": "off\n"}.items():
        write(tmp_path / f"thermal/thermal_zone{zone}/temp", text)
    for cpu in "01":
        write(tmp_path / f"cpu/cpu{cpu}/thermal_throttle/core_throttle_count", "3\n")
    assert read_heat(tmp_path / "thermal", tmp_path / "cpu") == Heat(96.5, 6)


def write(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.fixture
def session(tmp_path):
    """A session whose machine is as hot as the test says."""
    source, module = "fake:steady?rate=60", "tests.live_engines"
    with LiveSession(tmp_path / "s", save_tiny(tmp_path), source, module=module) as session:
        yield session


def results_in(session, seconds):
    """Watch for a while; return how many results came meanwhile."""
    before, until = len(session.seen_results), time.monotonic() + seconds
    while time.monotonic() < until:
        session.watch()
    return len(session.seen_results) - before


def test_f09_a_hot_machine_halves_the_rate_and_the_screen_says_so(session):
    feel(session, HOT_C - 1)
    session.until_current()
    full = results_in(session, 1.0)
    feel(session, HOT_C + 2)
    session.until_banner("THROTTLED")
    assert session.watch().banners[0].cause == f"{HOT_C + 2:.0f} °C, half the rate"
    half = results_in(session, 1.0)
    assert 0.35 * full <= half <= 0.65 * full
    feel(session, COOL_C + 1)
    results_in(session, 1.2)
    assert "THROTTLED" in titles(session.watch()), "it is not cool yet"
    feel(session, COOL_C - 1)
    session.until(lambda view: not view.banners)
    session.stop()
    found = session.rows("SELECT text FROM events WHERE kind = 'throttled'")
    assert [text.partition(": ")[2] for (text,) in found] == [
        f"{HOT_C + 2:.0f} °C, half the rate",
        "full rate again",
    ]
    assert session.ledger()["skipped_by_policy"] >= half / 2


def feel(session, temperature_c):
    """Let the machine of a session have this temperature."""
    path = session.folder / "thermal" / "thermal_zone0" / "temp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{temperature_c * 1000:.0f}\n")
