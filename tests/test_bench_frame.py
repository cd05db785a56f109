"""Facts about the common frame of the benchmarks: judging, comparing, keeping, drawing."""

import sys
from xml.etree import ElementTree

import jsonschema
import msgspec
import pytest

from benchmarks import parts, run
from benchmarks.budgets import BUDGETS, Bounds, judge, read_budgets
from benchmarks.compare import compare
from benchmarks.machine import describe_machine
from benchmarks.plan import Plan
from benchmarks.plot import draw_report, find_panels
from benchmarks.report_file import SCHEMA_FILE, read_report, schema_text, write_report
from benchmarks.result import (
    Curve,
    Part,
    Percentiles,
    Point,
    Ratio,
    Report,
    Row,
    Skipped,
    figure,
    noise,
    times_as_fast,
)
from benchmarks.show import number, show_report
from stream.cli import main
from stream.errors import SourceError


def part(*measured, **changes):
    rows = tuple(one for one in measured if isinstance(one, Row))
    ratios = tuple(one for one in measured if isinstance(one, Ratio))
    return Part(name="replay", rows=rows, ratios=ratios, **changes)


def ratio(*values, name="of_limit"):
    return Ratio(name=name, values=values)


def report(*found, **changes):
    machine = {"processor": "x", "commit": "abc", "cores": "2"}
    facts = {"created": "2026-01-01T00:00:00Z", "machine": machine, "quick": True}
    return Report(**facts, parts=found or (part(ratio(1.0)),), **changes)


def judged(found, **bounds):
    (verdict,) = judge([found], {"replay": Bounds(**bounds)})
    return verdict


def test_noise_is_the_scaled_median_distance_from_the_median():
    # Median 5; distances 4, 1, 0, 2, 95, whose median is 2.
    assert noise([1, 4, 5, 7, 100]) == pytest.approx(2 * 1.4826)
    assert noise([3]) == 0


@pytest.mark.parametrize(("values", "state"), [((0.8, 0.9, 0.88), "kept"), ((0.8,), "missed")])
def test_budget_is_missed_by_more_than_the_noise_only(values, state):
    # Of the three the median is 0.88 and the noise 0.02 x 1.4826 = 0.03: 0.02 short is noise.
    assert judged(part(ratio(*values)), at_least={"of_limit": 0.9}).state == state


def test_missed_line_names_row_noise_and_bound():
    verdict = judged(part(ratio(0.60, 0.61, 0.64)), at_least={"of_limit": 0.9})
    said = "budget missed: replay.of_limit is 0.61 (noise 0.01), wanted at least 0.90"
    assert str(verdict) == said


def test_bound_from_above_judges_figures_too():
    found = part(figure("growth_mib", 70.0))
    assert judged(found, at_most={"growth_mib": 64}).state == "missed"
    assert judged(found, at_most={"growth_mib": 70}).state == "kept"


def test_budget_without_a_row_fails_unless_a_reason_is_known():
    bounds = {"at_least": {"fast": 2.0}}
    silent, known = part(), part(skipped=(Skipped("fast", "no GPU"),))
    assert judged(silent, **bounds).fails
    assert str(judged(silent, **bounds)) == (
        "budget not measured: replay.fast, wanted at least 2.00"
    )
    assert not judged(known, **bounds).fails
    assert str(judged(known, **bounds)).endswith("wanted at least 2.00; no GPU")


def test_budget_is_judged_under_its_conditions_only():
    bounds = {"at_least": {"of_limit": 0.9}, "only": {"of_limit": ("full run", "real clips")}}
    bad = part(ratio(0.1), lacks=("full run",))
    assert judged(bad, **bounds).state == "not judged"
    assert judged(part(ratio(0.1)), **bounds).state == "missed"


def test_quick_run_is_judged_by_the_bound_for_it():
    bounds = {"at_least": {"of_limit": 0.9}, "quick": {"of_limit": 0.5}}
    assert judged(part(ratio(0.6), lacks=("full run",)), **bounds).state == "kept"
    assert judged(part(ratio(0.6)), **bounds).state == "missed"


def test_budget_judges_every_row_that_continues_its_name():
    found = part(ratio(1.0, name="cam-a"), ratio(1.2, name="cam-b"), ratio(9.0, name="camera"))
    verdicts = judge([found], {"replay": Bounds(at_most={"cam": 1.1})})
    states = {verdict.row: verdict.state for verdict in verdicts}
    assert states == {"replay.cam-a": "kept", "replay.cam-b": "missed"}


def test_budgets_of_the_file_are_of_known_benchmarks_and_conditions():
    found = read_budgets(BUDGETS)
    assert set(found) <= set(parts.PARTS)
    for bounds in found.values():
        assert {*bounds.only, *bounds.quick} <= {*bounds.at_least, *bounds.at_most}
        conditions = {one for many in bounds.only.values() for one in many}
        assert conditions <= {"full run", "real clips", "slow run"}


def test_times_as_fast_is_a_ratio_of_the_same_round_whichever_way_is_better():
    rates = [Row(name=n, unit="frames/s", values=v) for n, v in (("a", (4, 9)), ("b", (2, 3)))]
    times = [Row(name=n, unit="ms", values=v) for n, v in (("a", (4, 9)), ("b", (2, 3)))]
    assert times_as_fast("x", *rates).values == (2, 3)
    assert times_as_fast("x", *times).values == (1 / 2, 1 / 3)


@pytest.mark.parametrize("values", [(), (float("nan"),)])
def test_row_without_numbers_is_refused(values):
    with pytest.raises(ValueError, match="expected at least one, all finite"):
        figure("x", *values)


def test_schema_in_the_docs_is_that_of_the_code():
    assert SCHEMA_FILE.read_text() == schema_text()


def test_report_survives_its_file_and_fits_the_schema(tmp_path):
    path = tmp_path / "made" / "out.json"
    row = Row(name="a", unit="ms", values=(1.0,), percentiles=Percentiles(1, 2, 3))
    curve = Curve(name="c", x="x", y="y", points=(Point(1, (2.0,)),))
    found = part(row, ratio(0.1), curves=(curve,), skipped=(Skipped("b", "no GPU"),))
    kept = report(found, verdicts=judge([found], {"replay": Bounds(at_least={"of_limit": 1.0})}))
    write_report(path, kept)
    assert read_report(path) == kept
    schema = msgspec.json.decode(schema_text())
    jsonschema.Draft202012Validator(schema).validate(msgspec.json.decode(path.read_bytes()))


def test_comparison_marks_what_changed_by_more_than_both_noises():
    # Medians 10 and 12, noises 1.4826 each: 2 is less than their sum; 14 is farther.
    rows = lambda *values: report(part(Row(name="a", unit="ms", values=values)))  # noqa: E731
    old = rows(9, 10, 11)
    assert compare(old, rows(11, 12, 13)) == [("replay.a", "10.0 ms", "12.0 ms", "1.20", "")]
    assert compare(old, rows(13, 14, 15))[0][-1] == "changed"


@pytest.mark.parametrize("text", ['{"bench": "replay"}', "[]", "no json"])
def test_comparison_with_what_is_no_report_ends_with_3_before_anything_is_run(
    tmp_path, capsys, text
):
    old = tmp_path / "old.json"
    old.write_text(text)
    out = tmp_path / "new.json"
    assert main(["bench", "replay", "--compare", str(old), "--json", str(out)]) == 3
    assert "old.json: is no report of `stream bench`" in capsys.readouterr().err
    assert not out.exists()


def test_benchmark_that_fails_is_named_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    found = {"replay": part(), "live": "TimeoutError: no frame"}
    monkeypatch.setattr(run, "PARTS", found)
    monkeypatch.setattr(run, "run_apart", lambda name, plan: found[name])
    monkeypatch.setattr(run, "read_budgets", dict)
    out = tmp_path / "out.json"
    assert run.run("all", Plan(quick=True), out, None) == 1
    assert "benchmark failed: live: TimeoutError: no frame" in capsys.readouterr().err
    assert [one.name for one in read_report(out).parts] == ["replay"]


def test_benchmark_in_its_own_process_says_what_ended_it():
    plan = Plan(quick=True, models=("absent.onnx",))
    said = parts.run_apart("engines", plan)
    assert isinstance(said, str) and "absent.onnx" in said


def test_benchmark_whose_process_dies_is_a_failure(monkeypatch):
    monkeypatch.setattr(parts.sys, "executable", "/bin/false")
    assert parts.run_apart("wire", Plan()) == "ended with status 1"


def test_quick_run_lacks_the_condition_of_a_full_one(monkeypatch):
    monkeypatch.setitem(parts.PARTS, "replay", f"{__name__}:measure_nothing")
    assert parts.run_part("replay", Plan(quick=True)).lacks == ("full run",)
    assert parts.run_part("replay", Plan()).lacks == ()


def measure_nothing(plan):
    return part()


def test_table_shows_ours_against_each_row_and_the_share_of_the_limit(capsys):
    kinds = {"mine": ("ours", 8.0), "theirs": ("instead", 4.0), "most": ("limit", 10.0)}
    rows = {
        name: Row(name=name, unit="frames/s", role=role, values=(value,))
        for name, (role, value) in kinds.items()
    }
    ratios = [times_as_fast(f"over_{to}", rows["mine"], rows[to]) for to in ("theirs", "most")]
    show_report(report(part(*rows.values(), *ratios)))
    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "│" in line}
    assert "80%" in lines["mine"] and "2.00 x" in lines["theirs"]


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1234"), (12.34, "12.3"), (-1.5, "-1.50"), (0.0123, "0.012")]
)
def test_number_has_three_digits(value, text):
    assert number(value) == text


def test_plot_has_bars_of_each_unit_and_a_panel_for_each_name_of_curves(tmp_path):
    rows = [Row(name=u, unit=u, role="ours", values=(1.0, 2.0)) for u in ("ms", "frames/s")]
    lines = [
        Curve(name="size", line=n, x="px", y="ms", points=(Point(1, (1.0,)), Point(90, (2.0,))))
        for n in "ab"
    ]
    drawn = report(part(*rows, figure("no_bar", 1.0), curves=tuple(lines)))
    assert [len(p.rows) + len(p.curves) for p in find_panels(drawn)] == [1, 1, 2]
    assert draw_report(drawn, tmp_path / "plot.svg")
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")


def test_plot_is_left_out_where_matplotlib_is_absent(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not draw_report(report(), tmp_path / "plot.svg")
    assert not (tmp_path / "plot.svg").exists()


def test_machine_is_named_with_its_load_and_its_cards():
    found = describe_machine()
    assert found["processor"] and len(found["load"].split()) == 3
    assert found["gpu"] and found["commit"] and float(found["memory_gib"]) > 0


def test_report_that_is_absent_is_one_line(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        read_report(tmp_path / "absent.json")
