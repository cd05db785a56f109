"""The benchmarks by name, and how they are run: one here, or each in a process of its own.

``python -m benchmarks.parts NAME PLAN OUT`` runs one: PLAN is JSON, OUT a file for its part.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import msgspec

from benchmarks.budgets import FULL_RUN
from benchmarks.plan import Plan
from benchmarks.result import Part

PARTS = {
    "replay": "benchmarks.bench_replay:measure",
    "engines": "benchmarks.bench_engines:measure",
    "live": "benchmarks.bench_live:measure",
    "wire": "benchmarks.bench_wire:measure",
    "train": "benchmarks.bench_train:measure",
    "archive": "benchmarks.figures:measure_archive",
    "report": "benchmarks.figures:measure_report",
}
SHOWN = 300
"""Characters of an error that a report quotes."""


def run_part(name: str, plan: Plan) -> Part:
    """Run one benchmark here."""
    module, _, function = PARTS[name].partition(":")
    measure: Callable[[Plan], Part] = getattr(import_module(module), function)
    began_s = time.monotonic()
    part = measure(plan)
    lacks = (*part.lacks, *((FULL_RUN,) if plan.quick else ()))
    seconds = round(time.monotonic() - began_s, 1)
    return msgspec.structs.replace(part, seconds=seconds, lacks=lacks)


def run_apart(name: str, plan: Plan) -> Part | str:
    """Run one benchmark in a process of its own; return what ended it where it failed."""
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as folder:
        out = Path(folder) / "part.json"
        told = msgspec.json.encode(plan).decode()
        command = (sys.executable, "-m", "benchmarks.parts", name, told, str(out))
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if not out.exists():
            return f"ended with status {done.returncode}"
        return msgspec.json.decode(out.read_bytes(), type=Part | str)


def _main(name: str, told: str, out: Path) -> None:
    found: Part | str
    try:
        found = run_part(name, msgspec.json.decode(told, type=Plan))
    except Exception as error:  # noqa: BLE001 - the other benchmarks go on
        traceback.print_exc()
        found = f"{type(error).__name__}: {error}"[:SHOWN]
    out.write_bytes(msgspec.json.encode(found))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
