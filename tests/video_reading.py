"""Reads clips in this process, for tests of the video reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import SourceError
from stream.sources.base import Picture, Problem, SourceInfo
from stream.sources.video import open_video


def read(
    path: Path, stream_index: int | None = None
) -> tuple[SourceInfo, list[Picture], dict[str, Problem]]:
    reader = open_video(str(path), stream_index=stream_index)
    try:
        shown = list(reader.pictures())
        return reader.info, shown, {problem.fault: problem for problem in reader.problems}
    finally:
        reader.close()


def refusal(path: Path | str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_video(str(path)).close()
    assert "\n" not in str(caught.value)
    return caught.value
