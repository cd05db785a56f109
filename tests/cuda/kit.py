"""What tests use of the GPU proof kit: environments, the fake's controls, reasons to skip."""

from __future__ import annotations

import ast
import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv" / "gpu-proof"
REASONS = HOME / "missing.txt"
MAJORS = {"10.16": 10, "11.4": 11}
KINDS = ("init", "alloc", "pinned", "copy", "launch", "sync")
MODES = ("once", "always", "sticky")

OUT_OF_MEMORY = 2
NO_DEVICE = 100
INVALID_CONTEXT = 201
ILLEGAL_ADDRESS = 700


class Stats(ctypes.Structure):
    """What the fake driver holds and has done; same order as in fake_device.h."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            "device_allocations",
            "device_bytes",
            "pinned_allocations",
            "contexts_retained",
            "streams",
            "events",
            "graphs",
            "synchronises",
            "copies",
            "pageable_copies",
            "launches",
            "graph_launches",
            "pending",
        )
    ]

    def leaks(self) -> dict[str, int]:
        """Return the kinds of objects that are still alive, with their numbers."""
        alive = ("device_allocations", "pinned_allocations", "contexts_retained")
        counts = {name: getattr(self, name) for name in (*alive, "streams", "events", "graphs")}
        return {name: count for name, count in counts.items() if count}


class FakeDriver:
    """The fake driver's controls, inside a process started with `kit_environment`."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")

    def stats(self) -> Stats:
        """Return the present counts."""
        stats = Stats()
        self._library.fake_stats(ctypes.byref(stats))
        return stats

    def fail(self, kind: str, error: int, *, call: int = 1, mode: str = "once") -> None:
        """Let the `call`-th call of this kind from now fail.

        Parameters
        ----------
        kind : one of `KINDS`: cuInit, device memory, pinned memory, copies and fills, host
            functions and graph launches, synchronises
        error : CUDA error number
        mode : "once"; "always" from then on; "sticky": the operation brings the error upon the
            context when it runs, and every later call of any kind fails with it
        """
        self._library.fake_fail(KINDS.index(kind), ctypes.c_int64(call), error, MODES.index(mode))

    def set_memory(self, size: int) -> None:
        """Set the memory of the device, bytes; 8 GiB at the start."""
        self._library.fake_memory(ctypes.c_size_t(size))

    def reset(self) -> None:
        """Forget ordered faults and the sticky error; objects and counts stay."""
        self._library.fake_reset()


def missing(*parts: str) -> str | None:
    """Return why parts of the kit are absent, or None when all are there.

    Parameters
    ----------
    parts : of "driver", "pycuda", "bindings-10.16", "stubs-11.4" and so on; any part if empty
    """
    if not REASONS.exists():
        return "the GPU proof kit is not built: python -m tests.cuda.setup"
    lines = REASONS.read_text().splitlines()
    reasons = [line for line in lines if not parts or line.split(":")[0] in parts]
    return "; ".join(reasons) or None


def need(*parts: str) -> None:
    """Skip the calling test where parts of the kit are absent; on CI fail it."""
    reason = missing(*parts)
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"CI must have the GPU proof kit: {reason}")
    if reason:
        pytest.skip(reason)


def kit_environment(
    *, standin: bool = True, packages: Iterable[Path] = (), libraries: Iterable[Path] = ()
) -> dict[str, str]:
    """Return the environment of a process that sees PyCUDA over the fake driver.

    Parameters
    ----------
    standin : also put the stand-in for `tensorrt` on the path
    packages : further folders of packages, before all others
    libraries : further folders of shared libraries
    """
    paths = [*packages, HOME / "pycuda", ROOT]
    if standin:
        paths.insert(0, ROOT / "tests" / "trt_standin")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, [*libraries, HOME / "driver"])),
        "OMP_NUM_THREADS": "1",
    }


def bindings_environment(version: str) -> dict[str, str]:
    """Return the environment in which `import tensorrt_bindings` loads the real bindings.

    Parameters
    ----------
    version : key of `MAJORS`
    """
    return kit_environment(
        standin=False,
        packages=[HOME / f"bindings-{version}"],
        libraries=[HOME / f"libs-{version}"],
    )


def run_with_fake(
    program: str | Path, *arguments: str, standin: bool = True, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a Python program, a file or source text, over the fake driver.

    Warnings are errors there, as in the tests themselves.
    """
    call = [str(program)] if isinstance(program, Path) else ["-c", program]
    return subprocess.run(
        [sys.executable, "-W", "error", *call, *arguments],
        env=kit_environment(standin=standin),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def fact_names(path: Path) -> list[str]:
    """Return the names of the test functions of a file that runs over the fake driver."""
    tree = ast.parse(path.read_text())
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("test_")]


@cache
def run_facts(
    *paths: Path,
) -> tuple[subprocess.CompletedProcess[str], dict[tuple[str, str], set[str]]]:
    """Run test files whole, in this order, in one process over the fake driver.

    Returns
    -------
    The ended process, and the outcomes ("PASSED" and so on) of each test function, by the name of
    its file without the ending, and its own
    """
    call = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rA",
        "--tb=short",
        *map(str, paths),
    ]
    done = subprocess.run(
        call, env=kit_environment(), cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    outcomes: dict[tuple[str, str], set[str]] = {}
    lines = re.findall(r"(?m)^(PASSED|FAILED|ERROR) .*/(\w+)\.py::(\w+)", done.stdout)
    for outcome, file, name in lines:
        outcomes.setdefault((file, name), set()).add(outcome)
    return done, outcomes
