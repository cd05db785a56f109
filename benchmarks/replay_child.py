"""A replay in a process of its own: how fast it is, and what memory it takes.

``python -m benchmarks.replay_child CLIP OUT`` prints it as JSON.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from benchmarks.live_usage import memory_mib
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from engines.open import DEMO_MODEL
from stream.config import AnalysisConfig
from stream.job import Job, model_used
from stream.replay import replay_clip
from stream.sources.nursery import Nursery

LOOK_FRAMES = 50


class Replayed(msgspec.Struct, frozen=True):
    """A replay, report included.

    Parameters
    ----------
    frames_hz : from the open engine to the sealed session
    peak_mib : most resident memory of the process
    engine_mib : its resident memory before, with the engine loaded
    decoder_mib : most proportional memory of the processes below it, looked at now and then
    """

    frames_hz: float
    peak_mib: float
    engine_mib: float
    decoder_mib: float

    @property
    def over_engine_mib(self) -> float:
        """Peak above the interpreter with the engine loaded, the processes below included."""
        return self.peak_mib - self.engine_mib + self.decoder_mib


def replay_apart(clip: Path, out: Path) -> Replayed:
    """Replay a clip with the bundled model on OpenVINO in FP32, in a process of its own.

    Parameters
    ----------
    out : folder for its session folder
    """
    command = (sys.executable, "-m", "benchmarks.replay_child", str(clip), str(out))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Replayed)


def replay_here(clip: str, out: Path) -> Replayed:
    """Replay a clip in this process."""
    model = load_model(DEMO_MODEL)
    chosen = choose_engine(model, open_cache(), Wanted("openvino", "fp32"), lambda _line: None)
    used = model_used(chosen, model, DEMO_MODEL)
    seen_mib = [0.0]
    with Nursery() as nursery:
        job = Job(chosen.engine, used, AnalysisConfig(), nursery=nursery)
        engine_mib, began_s = _resident_mib("VmRSS"), time.monotonic()
        result = replay_clip(clip, job, out, partial(_look_now_and_then, seen_mib, count()))
        wall_s = time.monotonic() - began_s
    return Replayed(
        frames_hz=result.manifest.ledger["analysed"] / wall_s,
        peak_mib=_resident_mib("VmHWM"),
        engine_mib=engine_mib,
        decoder_mib=max(seen_mib),
    )


def _look_now_and_then(seen_mib: list[float], frames: Iterator[int], _source: object) -> None:
    if next(frames) % LOOK_FRAMES == LOOK_FRAMES // 2:
        below = psutil.Process().children(recursive=True)
        found = (memory_mib(one.pid) for one in below)
        seen_mib.append(sum(pss for _, pss in filter(None, found)))


def _resident_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    found = replay_here(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(msgspec.json.encode(found).decode())
