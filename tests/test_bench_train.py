"""Facts about the training benchmark, on a case too small to mean anything."""

import json
import tomllib

from benchmarks import bench_train


def test_every_case_has_a_budget():
    budgets = tomllib.loads(bench_train.BUDGETS.read_text())["train"]["at_least"]
    assert set(budgets) == set(bench_train.CASES)


def test_result_tells_rates_and_their_ratio(monkeypatch, tmp_path, capsys):
    tiny = {"draws": 8, "batch": 4, "input_px": 32}
    cases = {name: {**case, **tiny} for name, case in bench_train.CASES.items()}
    monkeypatch.setattr(bench_train, "CASES", cases)
    monkeypatch.setattr(bench_train, "FRAMES", 8)
    status = bench_train.bench(rounds=2, out=tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    assert set(result["cases"]) == set(cases)
    assert all(case["epoch_hz"] > 0 and case["ratio"] > 0 for case in result["cases"].values())
    assert (status == 1) == ("budget missed" in capsys.readouterr().err)


def test_ratio_below_its_budget_is_named():
    assert bench_train._missed({"early": 0.95, "whole": 0.5}) == [
        "whole is 0.50, wanted at least 0.9"
    ]
