"""What the live benchmark found, as rows.

A time that never came has no row, so its budget fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.result import Percentiles, Role, Row, Skipped, figure

MINUTES = 10
TIMES: dict[str, tuple[str, Role]] = {
    "capture to result": ("capture_to_result_ms", "ours"),
    "age on the screen": ("screen_age_ms", "ours"),
    "result to pixel": ("result_to_pixel_ms", "figure"),
    "draw": ("draw_ms", "figure"),
    "engine in the session": ("engine_ms", "figure"),
}
FLOOR = "engine alone"
JUDGED, DRAWN = "720p60", "1080p"
"""The load that has budgets, and the beginning of those whose draws have one."""
STREAMS = 8
SLOW, OTHERS = (
    ("age_growth_ms",),
    (
        "capture_drops",
        "age_ready_over_engine_ms",
        "age_screen_over_engine_ms",
        "draw_mean_ms",
        "banner_ms",
        "fresh_over_load_s",
        "start_s",
        "streams8_age_p99_ms",
    ),
)

Session = Mapping[str, Any]


class Found(NamedTuple):
    """All that was measured.

    Parameters
    ----------
    rows : of `measure_row`
    load_s : of the engine from the cache
    starts, kills : of `measure_start` and `measure_kills`
    slow : of `slow_row`
    streams : number of streams on one engine, and p99 of the age of a result in ms
    """

    rows: tuple[Session, ...] = ()
    load_s: float = 0.0
    starts: tuple[Mapping[str, float | None], ...] = ()
    kills: tuple[Mapping[str, float | None], ...] = ()
    slow: Session | None = None
    streams: tuple[tuple[float, float], ...] = ()


def list_rows(found: Found) -> Iterator[Row]:
    """Yield every row and figure."""
    for session in found.rows:
        yield from _session_rows(session, session["load"])
        yield from _judged_figures(session, session["load"])
    if found.slow:
        yield from _session_rows(found.slow, f"slow {found.slow['load']}")
        yield figure("age_growth_ms", found.slow["age_ms_per_minute"]["high"] * MINUTES)
    fresh_ms = worst(found.kills, "fresh_ms")
    over_load_s = None if fresh_ms is None else fresh_ms / 1e3 - found.load_s
    streams_ms = dict(found.streams).get(STREAMS)
    yield from _known("start_s", worst(found.starts, "overlay_s"))
    yield from _known("banner_ms", worst(found.kills, "banner_ms"))
    yield from _known("fresh_over_load_s", over_load_s)
    yield from _known(f"streams{STREAMS}_age_p99_ms", streams_ms)


def list_skipped(found: Found) -> Iterator[Skipped]:
    """Name the figures that belong to the other kind of run."""
    names, why = (OTHERS, "only a slow engine was run") if found.slow else (SLOW, "run `--slow`")
    yield from (Skipped(name, why) for name in names)


def worst(parts: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    """Return the largest value; None where one is missing, or there are none."""
    values = [part[name] for part in parts]
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _session_rows(session: Session, load: str) -> Iterator[Row]:
    times: dict[str, tuple[Any, Role]] = {FLOOR: (session["floor"]["engine"], "limit")}
    times |= {name: (session[key], role) for name, (key, role) in TIMES.items()}
    for name, (part, role) in times.items():
        if part["count"]:
            yield _latency(f"{load} {name}", role, part)
    growth = session["age_ms_per_minute"]
    for name in ("slope", "low", "high"):
        yield _number(f"{load} age growth, {name}", "ms/min", growth[name])
    for name in ("results_hz", "draws_hz"):
        yield _number(f"{load} {name.removesuffix('_hz')}", "/s", session[name])
    for process, part in session["usage"].items():
        yield _number(f"{load} {process} CPU", "cores", part["cpu"])
        yield _number(f"{load} {process} memory", "MiB", part["pss_mib"])
    yield _number(f"{load} other programs CPU", "cores", session["other_cpu"])
    for name, count in session["ledger"].items():
        if count:
            yield _number(f"{load} {name}", "frames", count)
    for name, count in session["late_losses"].items():
        yield _number(f"{load} after the first second, {name}", "frames", count)


def _judged_figures(session: Session, load: str) -> Iterator[Row]:
    if load == JUDGED:
        yield figure("capture_drops", session["late_capture_drops"])
        floor = session["floor"]["engine"]["least_p99"]
        for name, key in (("ready", "capture_to_result_ms"), ("screen", "screen_age_ms")):
            age = session[key].get("p99")
            over = None if age is None else age - floor
            yield from _known(f"age_{name}_over_engine_ms", over)
    if load.startswith(DRAWN):
        yield from _known("draw_mean_ms", session["draw_ms"].get("mean"))


def _latency(name: str, role: Role, part: Mapping[str, float]) -> Row:
    many = Percentiles(part["p50"], part["p95"], part["p99"])
    return Row(name=name, unit="ms", role=role, values=(many.p50,), percentiles=many)


def _number(name: str, unit: str, value: float) -> Row:
    return Row(name=name, unit=unit, values=(float(value),))


def _known(name: str, value: float | None) -> Iterator[Row]:
    if value is not None:
        yield figure(name, value)
