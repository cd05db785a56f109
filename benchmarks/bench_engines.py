"""Engines: every backend, precision, mode and batch, in turns, with what the gate says of each."""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.engine_measure import Bench
from benchmarks.engine_parts import measure_cam, measure_explain
from benchmarks.engine_rows import BATCHES, Device, find_obstacle, list_rows
from benchmarks.engine_subjects import Subject, open_subjects
from benchmarks.engine_turns import Turns
from benchmarks.engine_variants import calibrate_quickly, make_variants, measure_variants
from benchmarks.machine import describe_machine
from engines.load import load_model
from stream import console

BUDGETS = Path(__file__).with_name("budgets.toml")
ROUND_S, QUICK_S = 0.5, 0.05
QUICK_ROUNDS = 2
COLUMNS = (
    *("engine", "batch", "p50 ms", "p95", "p99", "frames/s", "x FP32"),
    *("MiB", "cold s", "cached s", "top-1", "gate"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    models : ``FILE`` or ``LABEL=FILE``; the defaults when empty
    frames : clips, stills, folders or tables to judge on; generated clips when empty
    device : whose rows are run; the others are listed
    rounds : interleaved repetitions
    quick : few frames, short rounds, one batch, one INT8 variant
    memory : also start-up and memory, two processes a row
    """

    models: tuple[str, ...]
    frames: tuple[str, ...]
    device: Device
    rounds: int
    quick: bool
    memory: bool

    @property
    def turns(self) -> Turns:
        """How long is measured."""
        return Turns(QUICK_ROUNDS, QUICK_S) if self.quick else Turns(self.rounds, ROUND_S)


def bench(plan: Plan, out: Path) -> int:
    """Measure engines and print a table for each model; exits 1 when a budget is missed.

    Parameters
    ----------
    out
        JSON file to write.
    """
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch:
        folder = Path(scratch)
        subjects = open_subjects(plan.models, plan.frames, folder, plan.quick)
        models = [_measure(subject, plan, folder) for subject in subjects]
    result = {
        "bench": "engines",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "device": plan.device,
        "rounds": plan.turns.rounds,
        "round_s": plan.turns.round_s,
        "quick": plan.quick,
        "models": models,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    for model in models:
        _show(model)
    missed = find_missed(models)
    for line in missed:
        console.warn(f"budget missed: {line}")
    console.say(f"figures: {out}")
    return 1 if missed else 0


def find_missed(models: Sequence[dict[str, Any]]) -> list[str]:
    """Return one line for each budget that is not kept.

    The rate is that of the fastest accepted bf16 or int8 engine at one frame a run, throughput,
    over OpenVINO's FP32 in the same setting. Random weights have no such budget.
    """
    budgets = tomllib.loads(BUDGETS.read_text())["engines"]
    least, cam = budgets["at_least"], budgets["at_most"]["cam"]
    missed = []
    for model in models:
        label = model["label"]
        best = max((row["over_fp32"] for row in model["rows"] if _counts(row)), default=0.0)
        bounds = [bound for name, bound in least.items() if label.startswith(name)]
        missed += [
            f"{label}: fastest accepted bf16 or int8 engine {best:.2f} x FP32, wanted {bound}"
            for bound in bounds
            if model["trained"] and best < bound
        ]
        missed += [
            f"{label}: maps cost {part['ratio'] - 1:.1%} on {part['backend']} {part['precision']},"
            f" wanted at most {cam - 1:.0%}"
            for part in model["cam"]
            if part["ratio"] > cam
        ]
    return missed


def _counts(row: dict[str, Any]) -> bool:
    """Whether a row may meet the budget of its model."""
    accepted = bool(row.get("gate")) and row["gate"]["accepted"]
    setting = row["mode"] == "throughput" and row["batch"] == 1
    return accepted and setting and row["precision"] in ("bf16", "int8")


def _measure(subject: Subject, plan: Plan, folder: Path) -> dict[str, Any]:
    """Return all figures of one model."""
    int8, words = _find_int8(subject, folder)
    bench_of = Bench(subject, int8, plan.device, plan.turns, plan.memory, folder / "cache", _note)
    rows = bench_of.measure(list_rows((1,) if plan.quick else BATCHES))
    cpus = [name for name in ("openvino", "onnxruntime") if not find_obstacle(name, "cpu")]
    _note(f"{subject.label}: maps and explanations")
    int8_model = load_model(int8)
    cams = [measure_cam(subject.model, name, plan.turns) for name in cpus]
    cams += [measure_cam(int8_model, name, plan.turns) for name in cpus[:1]]
    explained = [row for name in cpus for row in measure_explain(subject.model, name, plan.turns)]
    return {
        "label": subject.label,
        "file": subject.path.name,
        "digest": subject.model.digest,
        "trained": subject.trained,
        "judged_on": subject.judged.origin,
        "int8": words,
        "rows": rows,
        "cam": cams,
        "explain": explained,
        "variants": _measure_variants(subject, plan),
    }


def _find_int8(subject: Subject, folder: Path) -> tuple[Path, str]:
    """Return the INT8 model as a file, and what it is."""
    if subject.int8_path:
        return subject.int8_path, subject.int8_path.name
    _note(f"{subject.label}: calibrating")
    model, words = calibrate_quickly(subject)
    path = folder / f"{subject.label}.int8.onnx"
    path.write_bytes(model.data)
    return path, words


def _measure_variants(subject: Subject, plan: Plan) -> list[dict[str, Any]]:
    if plan.quick or not subject.trained:
        return []
    _note(f"{subject.label}: making int8 variants")
    return measure_variants(subject, make_variants(subject), plan.turns, _note)


def _note(line: str) -> None:
    """Show a line of progress."""
    console.err().print(line, markup=False)


def _show(model: dict[str, Any]) -> None:
    rows = [_cells(row) for row in model["rows"]]
    console.show_table(f"{model['label']} ({model['file']})", COLUMNS, rows)
    if model["trained"]:
        console.say(f"judged on {model['judged_on']}; int8: {model['int8']}")
    else:
        console.say("random weights: speed only, no accuracy")
    for part in model["cam"]:
        engine = f"{part['backend']} {part['precision']}"
        console.say(f"maps cost {part['ratio'] - 1:+.1%} on {engine}")
    for part in model["explain"]:
        line = f"{part['what']} costs {part['ratio']:.1f} plain runs on {part['backend']}"
        console.say(f"{line}, {part['ms']:.0f} ms")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    title = f"{row['backend']} {row['precision']} {row['mode']}"
    if "not_run" in row:
        blank = ("",) * (len(COLUMNS) - 3)
        return (title, str(row["batch"]), *blank, f"not run: {row['not_run']}")
    times = tuple(f"{row[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
    rate = (f"{row['fps']:.0f}", f"{row['over_fp32']:.2f}")
    costs = ("", "", "")
    if "memory_mib" in row:
        costs = (f"{row['memory_mib']:.0f}", f"{row['cold_s']:.2f}", f"{row['cached_s']:.2f}")
    return (title, str(row["batch"]), *times, *rate, *costs, *_judgement(row["gate"]))


def _judgement(gate: dict[str, Any] | None) -> tuple[str, str]:
    """Return top-1 agreement and verdict as text."""
    if gate is None:
        return "", ""
    top1 = f"{gate['top1_agreement']:.3f}" if "top1_agreement" in gate else ""
    missed = ", ".join(line.partition(":")[0] for line in gate["missed"])
    return top1, "accepted" if gate["accepted"] else f"rejected: {missed}"
