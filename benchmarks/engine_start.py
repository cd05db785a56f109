"""Start-up and memory of an engine, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.engine_rows import Row
from benchmarks.engine_turns import draw_noise
from engines.build import build_engine
from engines.cache import open_cache
from engines.errors import EngineError
from engines.load import load_model


def measure_start(path: Path, row: Row, cache: Path) -> dict[str, float]:
    """Start an engine that the cache does not hold, and then again from the cache.

    Returns
    -------
    cold_s, cached_s : from the path of the model to the first answer, runtime's import included
    memory_mib : growth of the resident memory by then and as many runs at once as it takes,
        started from the cache

    Raises
    ------
    EngineError
        With the last line that it said, if it cannot be started.
    """
    cold, cached = (_start(path, row, cache) for _ in range(2))
    return {
        "cold_s": cold["start_s"],
        "cached_s": cached["start_s"],
        "memory_mib": cached["memory_mib"],
    }


def start_here(path: Path, row: Row, cache: Path) -> dict[str, float]:
    """Start an engine in this process and return its seconds and MiB."""
    before_mib, began_ns = _resident_mib(), time.perf_counter_ns()
    model = load_model(path)
    frames = draw_noise(model.spec.input_wh, row.batch)
    built = build_engine(model, row.backend, row.options, open_cache(cache), lambda _line: None)
    built.engine.submit(frames).result()
    start_s = (time.perf_counter_ns() - began_ns) / 1e9
    for answer in [built.engine.submit(frames) for _ in range(built.engine.depth)]:
        answer.result()
    memory_mib = _resident_mib() - before_mib
    built.engine.close()
    return {"start_s": start_s, "memory_mib": memory_mib}


def _start(path: Path, row: Row, cache: Path) -> dict[str, float]:
    task = json.dumps({"path": str(path), "cache": str(cache), "row": asdict(row)})
    command = (sys.executable, "-m", "benchmarks.engine_start", task)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        raise EngineError(path.name, f"cannot be started: {said[-1]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _main(task: dict[str, Any]) -> None:
    found = start_here(Path(task["path"]), Row(**task["row"]), Path(task["cache"]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
