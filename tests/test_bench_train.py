"""Facts about the training benchmark, on a case too small to mean anything."""

import pytest

from benchmarks import bench_train
from benchmarks.budgets import read_budgets
from benchmarks.plan import Plan


def test_every_case_has_a_budget():
    assert set(read_budgets()["train"].at_least) == set(bench_train.CASES)


def test_epochs_stand_beside_steps_in_memory_round_by_round(monkeypatch):
    tiny = {"draws": 8, "batch": 4, "input_px": 32}
    cases = {name: {**case, **tiny} for name, case in bench_train.CASES.items()}
    monkeypatch.setattr(bench_train, "CASES", cases)
    monkeypatch.setattr(bench_train, "FRAMES", 8)
    found = bench_train.measure(Plan(rounds=2))
    rows = {row.name: row.values for row in found.rows}
    ratios = {ratio.name: ratio.values for ratio in found.ratios}
    epochs, steps = rows["whole, epoch"], rows["whole, in memory"]
    assert set(ratios) == set(cases) and len(epochs) == 2
    assert ratios["whole"] == pytest.approx([a / b for a, b in zip(epochs, steps, strict=True)])
