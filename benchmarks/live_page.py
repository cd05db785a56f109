"""What of the live benchmark a person reads: tables, and each budget with what was measured."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stream import console

BUDGETS = Path(__file__).with_name("budgets.toml")
MINUTES = 10
BUSY = 0.1
"""Processor seconds per second of other programs above which a row says so."""
TIMES = (
    ("capture to result", "capture_to_result_ms"),
    ("engine alone", "floor"),
    ("engine in the session", "engine_ms"),
    ("age on the screen", "screen_age_ms"),
    ("result to pixel", "result_to_pixel_ms"),
    ("draw", "draw_ms"),
)


class Budget(NamedTuple):
    """One budget: what was measured and what is wanted at most; None was not measured."""

    name: str
    unit: str
    measured: float | None
    wanted: float

    @property
    def kept(self) -> bool:
        """What was not measured is not kept."""
        return self.measured is not None and self.measured <= self.wanted


def judge_budgets(result: Mapping[str, Any]) -> list[Budget]:
    """Return every budget that the parts of a result bear on."""
    wanted: dict[str, float] = tomllib.loads(BUDGETS.read_text())["live"]["at_most"]
    found = list[Budget]()
    for row in result.get("rows", ()):
        found += _of_row(row, wanted)
    if "starts" in result:
        most = _worst(result["starts"], "overlay_s")
        found.append(Budget("start-up to the first overlay", "s", most, wanted["start_s"]))
    if "kills" in result:
        load_s = result["engine_load_s"]
        banner, fresh = (_worst(result["kills"], name) for name in ("banner_ms", "fresh_ms"))
        found.append(Budget("kill to AI DOWN", "ms", banner, wanted["banner_ms"]))
        limit = wanted["fresh_over_load_s"] + load_s
        fresh_s = None if fresh is None else fresh / 1e3
        found.append(Budget("kill to fresh results", "s", fresh_s, round(limit, 2)))
    if "slow" in result:
        growth = result["slow"]["age_ms_per_minute"]["high"] * MINUTES
        name = f"age grows in {MINUTES} minutes, slow engine"
        found.append(Budget(name, "ms", growth, wanted["age_growth_ms"]))
    return found


def _of_row(row: Mapping[str, Any], wanted: Mapping[str, float]) -> list[Budget]:
    found, load = list[Budget](), row["load"]
    if load == "720p60":
        drops = row["late_capture_drops"]
        found.append(Budget(f"{load} capture drops", "", drops, wanted["capture_drops"]))
        limit = round(row["floor"]["engine"]["least_p99"] + wanted["age_over_engine_ms"], 1)
        for name, part in (("ready", "capture_to_result_ms"), ("on the screen", "screen_age_ms")):
            age = row[part].get("p99")
            found.append(Budget(f"{load} result age p99, {name}", "ms", age, limit))
    if load.startswith("1080p"):
        mean = row["draw_ms"].get("mean")
        found.append(Budget(f"{load} draw mean", "ms", mean, wanted["draw_mean_ms"]))
    return found


def show(result: Mapping[str, Any], budgets: Sequence[Budget]) -> None:
    """Print every figure as tables, and every budget, kept or missed."""
    rows = [*result.get("rows", ()), *([result["slow"]] if "slow" in result else [])]
    for row in rows:
        _show_row(row)
    for row in result.get("transport", ()):
        where = f"{row['size']} {row['format']} by {row['transport']}"
        console.say(f"transport alone, {where}: p50 {row['p50_ms']} ms, p99 {row['p99_ms']} ms")
    for name in ("starts", "kills"):
        for number, times in enumerate(result.get(name, ()), 1):
            words = ", ".join(f"{key} {_number(value)}" for key, value in times.items())
            console.say(f"{name[:-1]} {number}: {words}")
    cells = [
        (b.name, f"{_number(b.measured)} {b.unit}", f"at most {b.wanted:g} {b.unit}", _word(b))
        for b in budgets
    ]
    if cells:
        console.show_table("Budgets", ("budget", "measured", "wanted", ""), cells)


def _show_row(row: Mapping[str, Any]) -> None:
    where = "window" if row["window"] else "terminal, for Xvfb is absent"
    title = f"{row['load']}, {row['seconds']:g} s, {where}, load average {row['loadavg']:.1f}"
    cells = []
    for name, key in TIMES:
        part = row["floor"]["engine"] if key == "floor" else row[key]
        points = (_number(part.get(point)) for point in ("p50", "p95", "p99", "mean"))
        cells.append((name, *points, str(part["count"])))
    console.show_table(title, ("ms", "p50", "p95", "p99", "mean", "count"), cells)
    figures = [
        (name, f"{part['cpu']:.2f}", f"{part['rss_mib']:.0f}", f"{part['pss_mib']:.0f}")
        for name, part in row["usage"].items()
    ]
    figures.append(("other programs", f"{row['other_cpu']:.2f}", "", ""))
    console.show_table("", ("process", "CPU s/s", "RSS MiB", "PSS MiB"), figures)
    ledger = {name: count for name, count in row["ledger"].items() if count}
    console.say(f"ledger: {_words(ledger)}")
    console.say(f"after the first second: {_words(row['late_losses']) or 'no loss'}")
    if row["other_cpu"] > BUSY:
        console.warn(f"other programs took {row['other_cpu']:.2f} of the cores meanwhile")
    slope = row["age_ms_per_minute"]
    interval = f"95 % interval {slope['low']:.2f} to {slope['high']:.2f}"
    console.say(f"results {row['results_hz']} /s; draws without a result {row['withdrawn_draws']}")
    console.say(f"age on the screen grows {slope['slope']:.2f} ms per minute, {interval}")


def _worst(parts: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    """Return the largest value; None where one is missing, or there are none."""
    values = [part[name] for part in parts]
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _word(budget: Budget) -> str:
    return "kept" if budget.kept else "MISSED"
