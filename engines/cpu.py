"""The processor: how many cores this process may use, and what they can compute."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Instruction sets by which runtimes lay out weights and choose arithmetic (x86, then Arm).
INSTRUCTION_SETS = (
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_int8", "amx_bf16", "asimddp", "sve", "bf16", "i8mm"),
)


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def name_cpu() -> str:
    """Return the processor's name and instruction sets, such as ``EPYC (avx2 avx512f)``.

    A compiled engine may hold weights laid out for an instruction set, and rounding differs
    between them, so both are part of what an engine depends on.
    """
    facts: dict[str, str] = {}
    for line in CPUINFO.read_text().splitlines() if CPUINFO.exists() else ():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    sets = " ".join(name for name in INSTRUCTION_SETS if name in flags)
    name = facts.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({sets})" if sets else name
