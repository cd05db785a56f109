"""Names the machine and the commit beside every figure."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from stream.session.manifest import versions


def describe_machine() -> dict[str, str]:
    """Return processor, cores, system and library versions."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": platform.platform(),
        "commit": _commit(),
    } | versions()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


def _commit() -> str:
    command = ("git", "rev-parse", "--short", "HEAD")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
