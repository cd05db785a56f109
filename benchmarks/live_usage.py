"""Processor time and memory of the processes of a session, from ``/proc``."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

_STAT = Path("/proc/stat")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Usage:
    """Watches processes by name; one that has ended keeps the figures of before.

    Parameters
    ----------
    pids : of the processes
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._began_s = time.monotonic()
        self._before_s = {name: cpu_s(pid) for name, pid in pids.items()}
        self._busy_before_s = self._busy_s = busy_s()
        self._span_s = 0.0
        self._figures: dict[str, dict[str, float]] = {}

    def look(self) -> None:
        """Take processor time and memory now."""
        self._span_s = span_s = time.monotonic() - self._began_s
        self._busy_s = busy_s()
        for name, pid in self._pids.items():
            memory = memory_mib(pid)
            if memory is None:
                continue
            peak, rss, pss = self._figures.get(name, {}), *memory
            self._figures[name] = {
                "cpu": round((cpu_s(pid) - self._before_s[name]) / span_s, 3),
                "rss_mib": max(peak.get("rss_mib", 0.0), rss),
                "pss_mib": max(peak.get("pss_mib", 0.0), pss),
            }

    def figures(self) -> dict[str, dict[str, float]]:
        """Return processor seconds per second from the start to the last look, and peaks in MiB.

        `pss_mib` divides shared pages among those who share them.
        """
        return self._figures

    def others(self) -> float:
        """Return processor seconds per second of every other program on this machine."""
        ours = sum(figure["cpu"] for figure in self._figures.values())
        busy = (self._busy_s - self._busy_before_s) / self._span_s if self._span_s else 0.0
        return round(max(0.0, busy - ours), 3)


def busy_s() -> float:
    """Return the seconds that all processors together have worked so far."""
    user, nice, system, _idle, _wait, *rest = map(int, _STAT.read_text().split("\n")[0].split()[1:])
    return (user + nice + system + sum(rest[:2])) * TICK_S


def cpu_s(pid: int) -> float:
    """Return the processor time of a process so far, 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_S


def memory_mib(pid: int) -> tuple[float, float] | None:
    """Return resident and proportional memory; None when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return round(sizes["Rss"] / 1024, 1), round(sizes["Pss"] / 1024, 1)
