"""The clock of the live path: monotonic, and it runs on while the machine sleeps (F21)."""

from __future__ import annotations

import time
from pathlib import Path

MS = 1_000_000
"""Nanoseconds in a millisecond."""


def now_ns() -> int:
    """Return ns since this machine started, its sleep included; the same in every process."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def host_id() -> str:
    """Return what names this start of this machine; clocks of two hosts have nothing in common."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
