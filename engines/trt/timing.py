"""The timing cache: measured kernels, kept in a file so that the next build is faster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorrt as trt

from engines.errors import EngineError


def attach_timing_cache(config: trt.IBuilderConfig, path: Path, say: Callable[[str], None]) -> None:
    """Give a build what the file holds; a file that TensorRT refuses is ignored with a line."""
    stored = _open_cache(config, path)
    if stored is not None and config.set_timing_cache(stored, False):
        return
    if stored is not None or path.is_file():
        say(f"{path.name}: no timing cache of this TensorRT and this card; starting a new one")
    config.set_timing_cache(config.create_timing_cache(b""), False)


def save_timing_cache(config: trt.IBuilderConfig, path: Path, say: Callable[[str], None]) -> None:
    """Write what the build measured and what others wrote meanwhile, whole or not at all.

    Raises
    ------
    EngineError
        If the file cannot be written.
    """
    cache = config.get_timing_cache()
    others = _open_cache(config, path)
    if others is not None:
        cache.combine(others, False)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(bytes(cache.serialize()))
        Path(file.name).replace(path)
    except OSError as error:
        raise EngineError(path.name, f"cannot be written: {error.strerror}") from error


def _open_cache(config: trt.IBuilderConfig, path: Path) -> trt.ITimingCache | None:
    data = path.read_bytes() if path.is_file() else b""
    return config.create_timing_cache(data) if data else None
