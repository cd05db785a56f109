"""Engines: every backend, precision, mode and batch, in turns, with what the gate says of each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_measure import Bench
from benchmarks.engine_parts import measure_cam, measure_explain
from benchmarks.engine_rows import BATCHES, find_obstacle, list_rows
from benchmarks.engine_rows import Row as EngineRow
from benchmarks.engine_subjects import RANDOM, SHIPPED, Subject, open_subjects
from benchmarks.engine_turns import Turns
from benchmarks.engine_variants import calibrate_quickly, make_variants, measure_variants
from benchmarks.gpu_bound import measure_bounds
from benchmarks.plan import Plan
from benchmarks.result import Part, Percentiles, Ratio, Role, Row, Skipped, figure
from benchmarks.show import note
from engines.load import load_model

ROUND_S, QUICK_S = 0.5, 0.1
LEAST_ROUNDS = 3
BANDWIDTH = "memory bandwidth"


def measure(plan: Plan) -> Part:
    """Measure the models of the plan, or the defaults."""
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch:
        folder = Path(scratch)
        subjects = open_subjects(plan.models, plan.frames, folder, plan.quick)
        models = [_measure(subject, plan, folder) for subject in subjects]
    turns = _turns(plan)
    labels = [model["label"] for model in models]
    return Part(
        name="engines",
        about=f"{plan.device}, {turns.rounds} rounds of {turns.round_s:g} s",
        rows=tuple(row for model in models for row in _rows(model)),
        ratios=tuple(
            ratio for model in models for ratio in (*find_ratios(model), *_of_bounds(model))
        ),
        skipped=(*(skip for model in models for skip in _skipped(model)), *_absent(labels)),
        details={"rounds": turns.rounds, "round_s": turns.round_s, "models": models},
    )


def find_ratios(model: dict[str, Any]) -> Iterator[Ratio]:
    """Yield what budgets judge: the fastest accepted engine, and the cost of the maps.

    The rate is that of the fastest accepted bf16 or int8 engine at one frame a run, throughput,
    over OpenVINO's FP32 in the same setting; 0 when none was accepted. Random weights have no
    such budget, nor has a run for a card, which leaves the CPU's engines out.
    """
    label = model["label"]
    if model["trained"] and not _left_out(model):
        nothing: dict[str, Any] = {"over_fp32": 0.0, "over_fp32_rounds": [0.0]}
        counted = [row for row in model["rows"] if _counts(row)]
        best = max(counted, key=lambda row: row["over_fp32"], default=nothing)
        of = _title(label, best) if counted else ""
        yield Ratio(name=label, of=of, values=tuple(best["over_fp32_rounds"]))
    for part in model["cam"]:
        name = f"cam-{label}, {part['backend']} {part['precision']}"
        yield Ratio(name=name, values=tuple(part["ratio_rounds"]))


def _left_out(model: dict[str, Any]) -> str:
    """Return why OpenVINO was not run; empty when it was."""
    reasons = [row.get("not_run", "") for row in model["rows"] if row["backend"] == "openvino"]
    return reasons[0] if all(reasons) and reasons else ""


def _counts(row: dict[str, Any]) -> bool:
    """Whether a row may meet the budget of its model."""
    accepted = bool(row.get("gate")) and row["gate"]["accepted"]
    setting = row["mode"] == "throughput" and row["batch"] == 1
    return "over_fp32" in row and accepted and setting and row["precision"] in ("bf16", "int8")


def _turns(plan: Plan) -> Turns:
    """Return how long is measured."""
    return Turns(max(LEAST_ROUNDS, plan.rounds), QUICK_S if plan.quick else ROUND_S)


def _measure(subject: Subject, plan: Plan, folder: Path) -> dict[str, Any]:
    """Return all figures of one model."""
    int8, words = _find_int8(subject, folder)
    memory = plan.memory and not plan.quick
    bench_of = Bench(subject, int8, plan.device, _turns(plan), memory, folder / "cache", note)
    wanted = _wanted_rows(plan)
    rows = bench_of.measure(wanted)
    batches = sorted({row.batch for row in wanted})
    bounds, no_bounds = measure_bounds(subject.model, batches, _turns(plan).rounds, plan.device)
    cpus = [name for name in ("openvino", "onnxruntime") if not find_obstacle(name, "cpu")]
    note(f"{subject.label}: maps and explanations")
    int8_model = load_model(int8)
    cams = [measure_cam(subject.model, name, _turns(plan)) for name in cpus]
    cams += [measure_cam(int8_model, name, _turns(plan)) for name in cpus[:1]]
    explained = [
        row
        for name in cpus[: 1 if plan.quick else None]
        for row in measure_explain(subject.model, name, _turns(plan))
    ]
    return {
        "label": subject.label,
        "file": subject.path.name,
        "digest": subject.model.digest,
        "trained": subject.trained,
        "judged_on": subject.judged.origin,
        "int8": words,
        "rows": rows,
        "bounds": bounds,
        "no_bounds": no_bounds,
        "cam": cams,
        "explain": explained,
        "variants": _measure_variants(subject, plan),
    }


def _wanted_rows(plan: Plan) -> list[EngineRow]:
    """Return every row; of a quick run those of one frame, for throughput."""
    if not plan.quick:
        return list_rows(BATCHES)
    return [row for row in list_rows((1,)) if row.mode == "throughput"]


def _find_int8(subject: Subject, folder: Path) -> tuple[Path, str]:
    """Return the INT8 model as a file, and what it is."""
    if subject.int8_path:
        return subject.int8_path, subject.int8_path.name
    note(f"{subject.label}: calibrating")
    model, words = calibrate_quickly(subject)
    path = folder / f"{subject.label}.int8.onnx"
    path.write_bytes(model.data)
    return path, words


def _measure_variants(subject: Subject, plan: Plan) -> list[dict[str, Any]]:
    if plan.quick or not subject.trained:
        return []
    note(f"{subject.label}: making int8 variants")
    return measure_variants(subject, make_variants(subject), _turns(plan), note)


def _rows(model: dict[str, Any]) -> Iterator[Row]:
    """Yield the rate and time of a run, start-up and memory, and what an explanation costs."""
    label = model["label"]
    for row in model["rows"]:
        if "fps" not in row:
            continue
        name = _title(label, row)
        role: Role = "instead" if row["backend"].startswith("torch") else "ours"
        yield Row(name=name, unit="frames/s", role=role, values=tuple(row["fps_rounds"]))
        many = Percentiles(row["p50_ms"], row["p95_ms"], row["p99_ms"])
        yield Row(name=f"{name}, a run", unit="ms", values=(many.p50,), percentiles=many)
        for key in ("cold_s", "cached_s", "memory_mib"):
            if key in row:
                yield figure(f"{name}, {key}", row[key])
        if "busy_rounds" in row:
            shares = tuple(row["busy_rounds"])
            yield Row(name=f"{name}, GPU busy", unit="of the time", values=shares)
    yield from _bound_rows(model)
    for part in model["explain"]:
        yield figure(f"{label}, {part['what']} on {part['backend']}_ms", part["ms"])


def _bound_rows(model: dict[str, Any]) -> Iterator[Row]:
    """Yield the card's bandwidth, and the rates that it allows."""
    for bound in model["bounds"]:
        name, rates = _bound_title(model["label"], bound), tuple(bound["fps_rounds"])
        yield Row(name=name, unit="frames/s", role="limit", values=rates)
    for bound in model["bounds"][:1]:
        speeds = tuple(rate / 1e9 for rate in bound["bytes_hz_rounds"])
        yield Row(name=f"{model['label']}: {BANDWIDTH}", unit="GB/s", values=speeds)


def _of_bounds(model: dict[str, Any]) -> Iterator[Ratio]:
    """Yield how much of the rate that the bandwidth allows was reached on a card."""
    bounds = {(bound["precision"], bound["batch"]): bound for bound in model["bounds"]}
    for row in model["rows"]:
        bound = bounds.get((row["precision"], row["batch"]))
        if bound is None or "fps" not in row:
            continue
        pairs = zip(row["fps_rounds"], bound["fps_rounds"], strict=True)
        title, to = _title(model["label"], row), _bound_title(model["label"], bound)
        values = tuple(mine / most for mine, most in pairs)
        yield Ratio(name=f"of {BANDWIDTH}: {title}", of=title, to=to, values=values)


def _skipped(model: dict[str, Any]) -> Iterator[Skipped]:
    label = model["label"]
    for row in model["rows"]:
        if "not_run" in row:
            yield Skipped(_title(label, row), row["not_run"])
        if "busy_not_run" in row:
            yield Skipped(f"{_title(label, row)}, GPU busy", row["busy_not_run"])
    if model["no_bounds"]:
        yield Skipped(f"{label}: {BANDWIDTH}", model["no_bounds"])
    if not model["trained"]:
        yield Skipped(label, "random weights: no verdict of the gate")
    elif reason := _left_out(model):
        yield Skipped(label, reason)


def _absent(labels: Sequence[str]) -> Iterator[Skipped]:
    """Name the usual models that this run left out."""
    for usual in (SHIPPED, *RANDOM):
        if not any(label.startswith(usual) for label in labels):
            yield Skipped(usual, "not among the models of this run")


def _title(label: str, row: dict[str, Any]) -> str:
    return f"{label}: {row['backend']} {row['precision']} {row['mode']} b{row['batch']}"


def _bound_title(label: str, bound: dict[str, Any]) -> str:
    return f"{label}: {BANDWIDTH} {bound['precision']} b{bound['batch']}"
