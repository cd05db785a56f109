"""The timing cache: measured kernels, kept in a file so that the next build is faster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorrt as trt


def open_timing_cache(
    config: trt.IBuilderConfig, path: Path | None, say: Callable[[str], None]
) -> trt.ITimingCache | None:
    """Give a build what the file holds, and return the cache, which must outlive the build.

    A file that TensorRT refuses is ignored with a line. None without a path.
    """
    if path is None:
        return None
    cache = _read_cache(config, path)
    if cache is None or not config.set_timing_cache(cache, False):
        if path.exists():
            say(f"{path.name}: no timing cache of this TensorRT and this card; starting a new one")
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def save_timing_cache(
    config: trt.IBuilderConfig, cache: trt.ITimingCache, path: Path, say: Callable[[str], None]
) -> None:
    """Write what the build measured and what others wrote meanwhile, whole or not at all.

    A file that cannot be written costs the next build time, not this one: it gets a line.
    """
    others = _read_cache(config, path)
    if others is not None:
        cache.combine(others, False)
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.write_bytes(bytes(cache.serialize()))
            fresh.replace(path)
    except OSError as error:
        say(f"{path.name}: the timing cache cannot be written: {error.strerror}")


def _read_cache(config: trt.IBuilderConfig, path: Path) -> trt.ITimingCache | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return config.create_timing_cache(data) if data else None
