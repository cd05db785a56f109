"""A display without a screen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.live_sender import display


@contextmanager
def xvfb(size_wh: tuple[int, int] = (1600, 900)) -> Iterator[str]:
    """Start an X server on a free display; yields its name; skips the test where there is none."""
    with display(size_wh) as pid:
        if pid is None:
            pytest.skip("not installed: Xvfb")
        yield os.environ["DISPLAY"]
