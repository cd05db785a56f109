"""Names the machine and the commit beside every figure; reads only."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from stream.session.manifest import versions

GPU_FACTS = ("name", "driver_version", "power.limit", "memory.total")


def describe_machine() -> dict[str, str]:
    """Return processor, cores, memory, system, load, GPU, commit and library versions."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory_gib": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f}",
        "system": platform.platform(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "gpu": find_gpu(),
        "commit": _commit(),
    } | versions()


def find_gpu() -> str:
    """Return name, driver, power limit and memory of the NVIDIA cards, or `none`."""
    query = f"--query-gpu={','.join(GPU_FACTS)}"
    return _ask("nvidia-smi", query, "--format=csv,noheader").replace("\n", "; ") or "none"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


def _commit() -> str:
    here = ("git", "-C", str(Path(__file__).parent))
    commit = _ask(*here, "rev-parse", "--short", "HEAD")
    changed = _ask(*here, "status", "--porcelain", "--untracked-files=no")
    return (commit or "unknown") + ("-dirty" if changed else "")


def _ask(*command: str) -> str:
    """Return what a program says; nothing where it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
