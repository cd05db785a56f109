"""How many live streams one engine answers for, and how old its results are then.

Real processes over local sockets and shared rings, as in `stream live`: a capture for each stream
and one worker. A recording of 480p at 15 frames/s is the source, and whoever measures hears every
result. ``python -m benchmarks.live_streams DESCRIPTOR...`` is the worker.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import numpy as np

from benchmarks.live_sender import make_clip
from benchmarks.live_usage import busy_s, cpu_s
from engines.open import DEMO_MODEL
from engines.options import Precision
from stream.clock import MS, now_ns
from stream.live.supervisor.config import EngineWanted, LiveConfig, pass_config, take_config
from stream.live.supervisor.process import RoleProcess
from stream.live.supervisor.role import Post, Stop
from stream.live.supervisor.session import new_session_name, rendezvous, shared_ring
from stream.live.wire.channels import Poller
from stream.live.wire.links import every_result, take_all
from stream.live.wire.messages import ResultHeader
from stream.live.wire.ring import FrameRing
from stream.live.worker.worker import run_streams
from stream.sources.sandbox_child import die_with_parent

SIZE_WH, RATE_HZ = (640, 480), 15
TURNS = 5
"""How often the recording repeats a clip of 13 s."""
COUNTS, QUICK_COUNTS = (1, 2, 4, 8, 16), (1, 8)
SECONDS, QUICK_SECONDS = 20.0, 3.0
WARM_UP_S, LAST_S, PATIENCE_S = 1.5, 0.5, 60.0
MODULE = "benchmarks.live_streams"


class Heard(NamedTuple):
    """A result: the place of its stream, its header, and when it was here."""

    stream: int
    header: ResultHeader
    heard_ns: int


def curve(*, quick: bool, engine: str = "openvino:fp32") -> list[tuple[float, float]]:
    """Return pairs of a number of streams and the 99th percentile of the age of a result, ms."""
    counts, seconds = (QUICK_COUNTS, QUICK_SECONDS) if quick else (COUNTS, SECONDS)
    return [(count, measure_streams(count, seconds, engine)["p99_ms"]) for count in counts]


def measure_streams(count: int, seconds: float, engine: str) -> dict[str, float]:
    """Run streams on one engine.

    Parameters
    ----------
    count : of streams
    seconds : measured, after a warm-up
    engine : ``auto`` for the fastest that the gate accepted here, or name and precision with a
        colon between, whether accepted or not

    Returns
    -------
    ``p50_ms``, ``p95_ms`` and ``p99_ms`` from capture until a result is heard; ``answered`` of the
    frames captured, as a share, and ``least_answered`` of the stream with the fewest;
    ``worker_cpu``, ``captures_cpu`` with their readers, and ``other_cpu`` of every other program
    with this one, in processor seconds per second
    """
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        clip = _make_recording(folder)
        log = stack.enter_context((folder / "streams.log").open("ab"))
        wanted = _wanted(engine, folder / "cache")
        rings = [stack.enter_context(shared_ring()) for _ in range(count)]
        configs = [stack.enter_context(_session(clip, ring, wanted)) for ring in rings]
        ears = _Ears(configs, stack)
        captures = [
            stack.enter_context(RoleProcess("capture", config, log.fileno())) for config in configs
        ]
        worker = stack.enter_context(_worker(configs, log.fileno()))
        try:
            ears.until_all_speak()
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}: {(folder / 'streams.log').read_text()[-2000:]}"
            ) from error
        ears.listen(WARM_UP_S)
        readers = _with_readers([one.pid for one in captures])
        return _measure(ears, rings, seconds, {"worker": [worker.pid], "captures": readers})


class _Ears:
    """Hears every result of every stream."""

    def __init__(self, configs: Sequence[LiveConfig], stack: ExitStack) -> None:
        self._places = {config.session: place for place, config in enumerate(configs)}
        self._poller = Poller(*(stack.enter_context(every_result(one)) for one in configs))
        self.heard: list[Heard] = []

    def listen(self, seconds: float) -> None:
        """Hear what comes for so long."""
        until_ns = now_ns() + round(seconds * 1e9)
        while now_ns() < until_ns:
            for received in take_all(self._poller, 20):
                header = received.message
                if isinstance(header, ResultHeader):
                    self.heard.append(Heard(self._places[header.session], header, now_ns()))

    def until_all_speak(self) -> None:
        """Hear what comes until each stream has had a result."""
        until_ns = now_ns() + round(PATIENCE_S * 1e9)
        while {one.stream for one in self.heard} < set(self._places.values()):
            if now_ns() > until_ns:
                raise TimeoutError(f"not every stream had a result in {PATIENCE_S:g} s")
            self.listen(0.1)


def _measure(
    ears: _Ears, rings: Sequence[FrameRing], seconds: float, pids: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    before, first, began_ns = _spent(pids), [ring.next_seq for ring in rings], now_ns()
    ears.listen(seconds)
    after, last, ended_ns = _spent(pids), [ring.next_seq for ring in rings], now_ns()
    ears.listen(LAST_S)
    span_s = (ended_ns - began_ns) / 1e9
    cpu = {f"{name}_cpu": (after[name] - before[name]) / span_s for name in before}
    cpu["other_cpu"] = max(0.0, cpu.pop("all_cpu") - sum(cpu.values()))
    return _answers(ears.heard, first, last) | cpu


def _answers(heard: Sequence[Heard], first: Sequence[int], last: Sequence[int]) -> dict[str, float]:
    """Return ages and shares of the frames of each stream from its first to before its last."""
    ages_ms, answered = list[float](), np.zeros(len(first))
    for stream, header, heard_ns in heard:
        if first[stream] <= header.seq < last[stream]:
            answered[stream] += 1
            ages_ms.append((heard_ns - header.captured_ns) / MS)
    captured = np.subtract(last, first)
    p50, p95, p99 = np.percentile(ages_ms, (50, 95, 99)).tolist()
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "answered": float(answered.sum() / captured.sum()),
        "least_answered": float((answered / captured).min()),
    }


def _spent(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return the processor seconds of programs so far, and ``all`` of this machine."""
    return {name: sum(map(cpu_s, some)) for name, some in pids.items()} | {"all": busy_s()}


def _make_recording(folder: Path) -> Path:
    """Make a recording that lasts longer than a measurement, so that no reader is replaced."""
    clip, path = make_clip(folder, SIZE_WH, RATE_HZ), folder / "recording.ts"
    command = ["ffmpeg", "-v", "error", "-stream_loop", str(TURNS - 1), "-i", str(clip)]
    subprocess.run([*command, "-c", "copy", str(path)], check=True)
    return path


def _wanted(engine: str, cache: Path) -> EngineWanted:
    """Return what a worker is told; a named engine comes from an empty cache, so it is that one."""
    name, _, precision = engine.partition(":")
    if not precision:
        return EngineWanted(model=str(DEMO_MODEL), engine=name)
    return EngineWanted(
        model=str(DEMO_MODEL),
        engine=name,
        precision=cast(Precision, precision),
        force=True,
        cache=str(cache),
    )


@contextmanager
def _session(clip: Path, ring: FrameRing, wanted: EngineWanted) -> Iterator[LiveConfig]:
    """Make the configuration of one stream, which is not recorded."""
    with rendezvous() as ends:
        yield LiveConfig(
            session=new_session_name(),
            started_ns=now_ns(),
            source=str(clip),
            loop=True,
            wanted=wanted,
            endpoints=msgspec.structs.replace(ends, records="", posts="", news=""),
            ring=ring.fd,
        )


@contextmanager
def _worker(configs: Sequence[LiveConfig], log: int) -> Iterator[subprocess.Popen[bytes]]:
    fds = [pass_config(config) for config in configs]
    rings = [config.ring for config in configs if config.ring is not None]
    with subprocess.Popen(
        [sys.executable, "-m", MODULE, *map(str, fds)],
        stdin=subprocess.PIPE,  # it ends when this end closes
        stderr=log,
        pass_fds=(*fds, *rings),
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        for fd in fds:
            os.close(fd)
        try:
            yield process
        finally:
            process.kill()


def _with_readers(pids: Sequence[int]) -> list[int]:
    """Return processes and all that these have started."""
    found, waiting = list[int](), list(pids)
    while waiting:
        found.append(pid := waiting.pop())
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            waiting += map(int, children.read_text().split())
    return found


def _run_worker(fds: Sequence[int]) -> int:
    die_with_parent()
    stop, configs = Stop(), [take_config(fd) for fd in fds]
    return run_streams([(config, Post(config, "worker")) for config in configs], stop)


if __name__ == "__main__":
    sys.exit(_run_worker([int(word) for word in sys.argv[1:]]))
