"""A display without a screen."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PATIENCE_S = 20.0


@contextmanager
def xvfb(size_wh: tuple[int, int] = (1600, 900)) -> Iterator[str]:
    """Start an X server on a free display; yields its name; skips the test where there is none."""
    if shutil.which("Xvfb") is None:
        pytest.skip("not installed: Xvfb")
    read, write = os.pipe()
    size = f"{size_wh[0]}x{size_wh[1]}x24"
    command = [
        "Xvfb",
        "-displayfd",
        str(write),
        "-screen",
        "0",
        size,
        "-nolisten",
        "tcp",
        "-noreset",
    ]
    server = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            yield f":{pipe.readline().strip()}"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
