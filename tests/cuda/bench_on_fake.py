"""Rows of TensorRT and a replay on it, over the fake driver; run by `tests/test_bench_gpu.py`."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.engine_measure import Bench
from benchmarks.engine_rows import list_rows
from benchmarks.engine_subjects import Subject
from benchmarks.engine_turns import Turns
from benchmarks.gpu_replay import measure_busy, name_loop, open_card
from benchmarks.replay_race import Lap
from engines.load import load_model
from tests.clips import write_clip
from tests.cuda.kit import FakeDriver
from tests.tiny_model import save_tiny


def measure_rows(folder: Path) -> None:
    path = save_tiny(folder)
    subject = Subject("tiny", path, load_model(path), False, None, None)
    bench = Bench(subject, path, "cuda", Turns(2, 0.01), False, folder / "cache", print)
    rows = [row for row in list_rows((1, 4)) if row.backend == "tensorrt"]
    found = {(row["precision"], row["batch"]): row for row in bench.measure(rows)}
    for precision in ("fp32", "fp16"):
        for batch in (1, 4):
            row = found[precision, batch]
            assert min(row["fps_rounds"]) > 0 and row["busy_not_run"], row
    assert "int8 asked, but the model is fp32" in found["int8", 1]["not_run"]


def replay(folder: Path) -> None:
    clip = str(write_clip(folder / "clip.mp4", 5))
    with ExitStack() as stack:
        card = open_card(stack, folder, quick=True)
        assert list(card.loops) == [name_loop("tensorrt", "mobilenetv2")], card.skipped
        (loop,) = card.loops.values()
        before = FakeDriver().stats().graph_launches
        assert loop([clip, clip]) == 10
        assert FakeDriver().stats().graph_launches - before >= 10
        busy, skipped = measure_busy(card, [Lap({}, {}, {})], [clip])
        assert busy == [] and skipped[0].row == "GPU busy" and skipped[0].reason


if __name__ == "__main__":
    sys.modules["torch"] = None  # it warns of the fake driver
    with tempfile.TemporaryDirectory() as place:
        measure_rows(Path(place))
        replay(Path(place))
    leaks = FakeDriver().stats().leaks()
    sys.exit(str(leaks) if leaks else 0)
