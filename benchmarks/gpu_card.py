"""What torch measures of an NVIDIA card: its memory's bandwidth, and the time that it works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from engines.errors import EngineError

COPIED_BYTES, COPIES = 1 << 29, 50
"""Larger than the caches of any card."""
ACTIVITIES = {
    "cuda": (ProfilerActivity.CUDA, DeviceType.CUDA),
    "cpu": (ProfilerActivity.CPU, DeviceType.CPU),
}
NOTHING_SEEN = "torch's profiler saw no work of the device"


def find_card() -> str:
    """Return the name of the first card, empty when there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


@contextmanager
def torch_faults(subject: str) -> Iterator[None]:
    """Turn what torch raises, out of memory and a failed compilation too, into `EngineError`."""
    try:
        yield
    except RuntimeError as error:
        problem = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        raise EngineError(subject, problem) from error


def measure_bandwidth(device: str = "cuda", size: int = COPIED_BYTES) -> float:
    """Return bytes per second, read and written together, of copying a buffer within the device.

    Parameters
    ----------
    size : of the buffer, bytes

    Raises
    ------
    EngineError
        If there is no room for two buffers.
    """
    with torch_faults("memory bandwidth"):
        source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
        _copy(source, target, 1)
        began_ns = time.perf_counter_ns()
        _copy(source, target, COPIES)
        return 2 * size * COPIES / ((time.perf_counter_ns() - began_ns) / 1e9)


def trace_device_s(work: Callable[[], int], device: str = "cuda") -> float:
    """Return the seconds in which the device works for one frame.

    Counted is the time in which at least one kernel, copy or fill runs, by the clock of the device,
    whichever library of this process started it. Tracing slows the processor down, which leaves
    gaps between kernels but hardly changes the kernels; so the share of time in which a card is
    busy is this time multiplied by the rate without tracing. It can come out a little above 1.

    Parameters
    ----------
    work : returns its number of frames when the device is done with them

    Raises
    ------
    EngineError
        If the profiler fails or sees nothing, such as without CUPTI.
    """
    activity, kind = ACTIVITIES[device]
    with torch_faults("torch's profiler"):
        with profile(activities=[activity]) as traced:
            frames = work()
        spans = [
            (event.time_range.start, event.time_range.end)
            for event in traced.events()
            if event.device_type == kind and not event.is_user_annotation
        ]
    if not spans:
        raise EngineError("GPU busy", NOTHING_SEEN)
    return covered(spans) / 1e6 / frames


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the time that spans from a start to an end cover together."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _copy(source: torch.Tensor, target: torch.Tensor, times: int) -> None:
    for _ in range(times):
        target.copy_(source)
    if target.is_cuda:
        torch.cuda.synchronize()
