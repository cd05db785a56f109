"""Reports: what one of five frames costs in every format, and how long the review page seeks.

A report is measured as a user has it, the whole process on one core, in turns with a process that
imports the same libraries and ends.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from stream.errors import StreamError
from stream.replay_command import DEMO_CLIP

REAL_CLIP = Path("../shared/data/clips/butterfly-ocular-phantom.mp4")
FORMATS = ("--html", "--pdf", "--png", "--csv", "--dicom")
WHOLE, FLOOR = "report_five_frames_all_formats_cpu_s", "report_imports_alone_cpu_s"
SEEK_MINUTES, SEEK_RATE_HZ = 10.0, 25.0
_LIMIT_S = 300
_NO_CACHE = "PYTHONDONTWRITEBYTECODE"
_ON_ONE_CORE = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from stream.cli import main
"""
_RUN = f"{_ON_ONE_CORE}raise SystemExit(main(sys.argv[1:]))"
_IMPORTS = f"""{_ON_ONE_CORE}
import stream.report_command, stream.report.pdf.document, stream.report.privacy.text
import stream.report.dicom.key_objects, stream.report.dicom.structured_report
"""


def measure(quick: bool, rounds: int) -> dict[str, list[float]]:
    """Measure reports, and seeks of the review page where Chromium is installed.

    Parameters
    ----------
    quick : one round, of the bundled clip, and no seeks: in less than 20 s
    rounds : repetitions of each row, in turns

    Returns
    -------
    processor seconds of a process, and milliseconds of a seek: by row, one value a round

    Raises
    ------
    StreamError
        If a process fails.
    """
    clip = REAL_CLIP if REAL_CLIP.is_file() and not quick else DEMO_CLIP
    times = 1 if quick else rounds
    with tempfile.TemporaryDirectory(prefix="sonostream-bench-") as scratch:
        rows = _measure_reports(clip, Path(scratch), times)
    if not quick and shutil.which("chromium"):
        rows |= _measure_seeks(times)
    return rows


def _measure_reports(clip: Path, scratch: Path, rounds: int) -> dict[str, list[float]]:
    cpu_s(_RUN, "replay", str(clip), "--out", str(scratch / "out"), cache=scratch)
    session = scratch / "out" / clip.stem
    measured: Mapping[str, Callable[[], float]] = {
        FLOOR: lambda: cpu_s(_IMPORTS, cache=scratch),
        WHOLE: lambda: cpu_s(_RUN, "report", str(session), *FORMATS, cache=scratch),
    }
    measured[FLOOR]()  # compiles the modules to byte code
    rows: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, run in measured.items():
            rows[name].append(run())
    return rows


def cpu_s(code: str, *arguments: str, cache: Path) -> float:
    """Run Python code in a process of its own; return the processor time of all that it started.

    Parameters
    ----------
    cache : folder for byte code, since the environment may forbid it beside the modules

    Raises
    ------
    StreamError
        If the process does not end well.
    """
    environment = {name: text for name, text in os.environ.items() if name != _NO_CACHE}
    environment["PYTHONPYCACHEPREFIX"] = str(cache / "bytecode")
    before = _children_s()
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_LIMIT_S, env=environment, check=False
    )
    took = _children_s() - before
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StreamError("bench report", f"{' '.join(arguments[:1])} failed: {last}")
    return took


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _measure_seeks(rounds: int) -> dict[str, list[float]]:
    from benchmarks.review_rows import measure_seeks

    found = [measure_seeks(SEEK_MINUTES, SEEK_RATE_HZ) for _ in range(rounds)]
    return {f"review_seek_{name}": [one[name] for one in found] for name in found[0]}
