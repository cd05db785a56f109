"""The floor under every age: the engine alone in its own process, at the pace of the frames."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_figures import summary
from engines.open import DEMO_MODEL
from stream.analysis.analyser import Analyser
from stream.frame import Frame, FrameId
from stream.live.supervisor.config import EngineWanted
from stream.live.worker.worker import open_wanted
from stream.sources.video import open_video

WARM_UP = 30
PARTS = 4
"""Other programs on the machine make the floor higher and its budget looser: the p99 of the
quietest part counts."""


def measure_engine(clip: Path, rate_hz: int, seconds: float) -> dict[str, Any]:
    """Analyse the frames of a clip, one at a time, as often as they come.

    Returns
    -------
    ``load_s`` of the engine from the cache, ``engine`` and ``step`` (with preprocessing) in ms,
    as percentiles; of the engine also ``least_p99``, that of the quietest part
    """
    command = [sys.executable, "-m", "benchmarks.live_engine", str(clip)]
    command += [str(rate_hz), str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(clip: str, rate_hz: float, seconds: float) -> dict[str, Any]:
    reader = open_video(clip)
    pictures = [picture.pixels for picture, _ in zip(reader.pictures(), range(60), strict=False)]
    reader.close()
    began_s = time.monotonic()
    chosen, _ = open_wanted(EngineWanted(model=str(DEMO_MODEL)), False)
    load_s = time.monotonic() - began_s
    analyser, engine_ms, step_ms = Analyser(chosen.engine), [], []
    began_s = time.monotonic()
    for number in range(WARM_UP + round(rate_hz * seconds)):
        time.sleep(max(0.0, began_s + number / rate_hz - time.monotonic()))
        pixels = pictures[number % len(pictures)]
        frame = Frame(FrameId("bench", 0, number), pixels, 0, 0, clip)
        start_ns = time.perf_counter_ns()
        prediction = analyser.step(frame)
        step_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        engine_ms.append(prediction.times.engine_ns / 1e6)
    chosen.engine.close()
    parts = np.array_split(engine_ms[WARM_UP:], PARTS)
    least = min(float(np.percentile(part, 99)) for part in parts)
    return {
        "load_s": round(load_s, 3),
        "engine": summary(engine_ms[WARM_UP:]) | {"least_p99": round(least, 3)},
        "step": summary(step_ms[WARM_UP:]),
    }


if __name__ == "__main__":
    figures = _measure(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
    sys.stdout.write(json.dumps(figures) + "\n")
