"""Facts about the live benchmark: its figures by hand, its budgets, and one small real row."""

import math
import os

import pytest

from benchmarks.budgets import judge, read_budgets
from benchmarks.live_figures import (
    Draw,
    ages_ms,
    between,
    pixels_ms,
    read_draws,
    recoveries,
    slope_per_minute,
    summary,
)
from benchmarks.live_page import Found, list_rows, list_skipped
from benchmarks.live_rows import LOADS, measure_row
from benchmarks.live_usage import cpu_s, memory_mib
from benchmarks.result import Part

pytestmark = pytest.mark.timeout(60)
MS = 1_000_000


def draw(time_ms, shown=1, age_us=30_000, pixel_us=9_000, banner=""):
    return Draw(time_ms * MS, 1, 5_000, shown, age_us, pixel_us, banner)


def a_row(load="720p60", **changes):
    times = {"p50": 10.0, "p95": 20.0, "p99": 25.0, "mean": 9.0, "count": 100}
    parts = ("capture_to_result_ms", "engine_ms", "screen_age_ms", "result_to_pixel_ms", "draw_ms")
    row = {
        "load": load,
        "window": True,
        "seconds": 6.0,
        "loadavg": 0.5,
        "other_cpu": 0.1,
        "floor": {"engine": times | {"least_p99": 6.0}},
        "usage": {"worker": {"cpu": 0.5, "rss_mib": 200.0, "pss_mib": 150.0}},
        "ledger": {"grabbed": 10, "analysed": 10},
        "late_losses": {},
        "draws_hz": 60.0,
        "late_capture_drops": 0,
        "results_hz": 60.0,
        "withdrawn_draws": 0,
        "age_ms_per_minute": {"slope": 0.0, "low": -1.0, "high": 1.0},
    }
    return row | {part: dict(times) for part in parts} | changes


def verdicts(lacks=("slow run",), **found):
    """Return the state of each budget that something was found for."""
    found = Found(**found)
    live = Part(
        name="live", rows=tuple(list_rows(found)), skipped=tuple(list_skipped(found)), lacks=lacks
    )
    return {verdict.row: verdict.state for verdict in judge([live], read_budgets())}


def missed(**found):
    states = verdicts(**found)
    return [name.removeprefix("live.") for name, state in states.items() if state == "missed"]


def test_summary_has_percentiles_mean_and_count():
    values = range(1, 102)  # 1 to 101: the pth percentile is p + 1
    assert summary(values) == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "mean": 51.0, "count": 101}


def test_summary_of_nothing_has_no_percentiles():
    assert summary([]) == {"count": 0}


def test_slope_of_a_line_is_exact_and_its_interval_has_no_width():
    times = [second + part for second in range(10) for part in (0.25, 0.5)]
    slope = slope_per_minute(times, [2.0 * math.floor(time) for time in times])
    assert slope == pytest.approx((120.0, 120.0, 120.0))


def test_slope_interval_is_that_of_least_squares():
    # Means 0, 1, 0 in seconds 0, 1, 2: slope 0, residuals -1/3, 2/3, -1/3.
    slope = slope_per_minute([0, 1, 2], [0.0, 1.0, 0.0])
    error = math.sqrt((6 / 9) / 1 / (2 / 3600))
    assert slope == pytest.approx((0.0, -1.96 * error, 1.96 * error))


def test_slope_needs_three_seconds():
    with pytest.raises(ValueError, match="2 seconds"):
        slope_per_minute([0, 1], [1.0, 2.0])


def test_draws_are_read_but_for_a_last_line_cut_short(tmp_path):
    path = tmp_path / "draws.csv"
    path.write_text("5,1,900,1,30000,9000,AI DOWN\n6,2,900,2,300")
    assert read_draws(path) == [Draw(5, 1, 900, 1, 30000, 9000, "AI DOWN")]


def test_age_counts_at_every_draw_and_pixel_only_at_the_first_of_a_result():
    draws = [draw(0), draw(16), draw(33, shown=2, pixel_us=7_000), draw(50, shown=2, age_us=0)]
    assert ages_ms(draws) == [30.0, 30.0, 30.0]
    assert pixels_ms(draws) == [7.0]
    assert len(between(draws, 16 * MS, 50 * MS)) == 2


def test_recovery_is_the_banner_and_then_a_draw_with_a_result():
    draws = [draw(0), draw(290, age_us=0, banner="AI DOWN"), draw(900, age_us=0), draw(950)]
    assert recoveries(draws, [50 * MS]) == [{"banner_ms": 240.0, "fresh_ms": 900.0}]


def test_recovery_that_never_comes_is_none_and_not_measured():
    kills = recoveries([draw(0), draw(40)], [10 * MS])
    assert kills == [{"banner_ms": None, "fresh_ms": None}]
    states = verdicts(kills=tuple(kills), load_s=0.5)
    assert states["live.banner_ms"] == states["live.fresh_over_load_s"] == "not measured"


def test_row_within_every_budget_misses_none():
    assert missed(rows=(a_row(), a_row("1080p60"))) == []


@pytest.mark.parametrize(
    ("load", "changes", "name"),
    [
        ("720p60", {"late_capture_drops": 1}, "capture_drops"),
        ("720p60", {"screen_age_ms": {"p99": 26.1, "count": 0}}, "age_screen_over_engine_ms"),
        ("720p60", {"capture_to_result_ms": {"p99": 26.1, "count": 0}}, "age_ready_over_engine_ms"),
        ("1080p60", {"draw_ms": {"mean": 10.1, "count": 0}}, "draw_mean_ms"),
    ],
)
def test_row_over_a_budget_misses_it(load, changes, name):
    assert missed(rows=(a_row(load, **changes),)) == [name]


def test_age_that_was_never_seen_is_not_measured():
    states = verdicts(rows=(a_row(screen_age_ms={"count": 0}),))
    assert states["live.age_screen_over_engine_ms"] == "not measured"


def test_the_worst_start_and_recovery_count():
    starts = ({"overlay_s": 2.0}, {"overlay_s": 3.1})
    kills = ({"banner_ms": 100.0, "fresh_ms": 900.0}, {"banner_ms": 501.0, "fresh_ms": 3400.0})
    assert missed(starts=starts, kills=kills, load_s=0.5) == ["banner_ms", "start_s"]
    assert "fresh_over_load_s" in missed(kills=kills, load_s=0.3)


def test_growth_is_judged_by_the_upper_end_of_its_interval_over_ten_minutes():
    slow = a_row(age_ms_per_minute={"slope": 1.0, "low": -0.5, "high": 2.5})
    assert missed(slow=slow, lacks=()) == ["age_growth_ms"]


def test_every_budget_of_the_file_has_a_row():
    found = {
        "rows": (a_row(), a_row("1080p60")),
        "starts": ({"overlay_s": 2.0},),
        "kills": ({"banner_ms": 1.0, "fresh_ms": 1.0},),
        "slow": a_row(),
        "streams": ((8, 50.0),),
    }
    assert set(verdicts(lacks=(), **found).values()) == {"kept"}


def test_figures_of_the_other_kind_of_run_are_named_with_the_reason():
    reasons = {skip.row: skip.reason for skip in list_skipped(Found(slow=a_row()))}
    assert reasons["start_s"] == "only a slow engine was run"
    assert [skip.row for skip in list_skipped(Found())] == ["age_growth_ms"]


def test_usage_of_this_process_is_told_and_of_none_is_not():
    rss_mib, pss_mib = memory_mib(os.getpid())
    assert rss_mib >= pss_mib > 1
    assert cpu_s(os.getpid()) > 0
    assert memory_mib(2**22) is None


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_smallest_row_measures_a_real_session(tmp_path):
    row = measure_row(LOADS[0], 4.0, tmp_path)
    ledger = row["ledger"]
    assert ledger["grabbed"] == sum(n for name, n in ledger.items() if name != "grabbed")
    assert row["capture_to_result_ms"]["p50"] > row["floor"]["engine"]["p50"] / 2
    assert row["screen_age_ms"]["p50"] > row["result_to_pixel_ms"]["p50"]
    assert set(row["usage"]) >= {"capture", "worker", "viewer", "recorder", "sender"}
