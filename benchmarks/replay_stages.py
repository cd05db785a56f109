"""What decoding, preprocessing and the engine cost, each alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from engines.base import Engine, run_frames
from engines.pixels import Pixels
from engines.preprocess import to_model_input
from stream.sources.video import open_video


def stage_costs(engine: Engine, clips: list[str]) -> dict[str, float]:
    """Return CPU seconds per frame of each stage alone, over all frames of the clips."""
    decode_s = _cpu_s(lambda: [None for clip in clips for _ in _decode(clip)])
    prepare_s, inputs = 0.0, []
    spec = engine.model.spec
    for clip in clips:
        for pixels in _decode(clip):
            began_s = time.thread_time()
            inputs.append(to_model_input(pixels, spec.input_wh, spec.fit))
            prepare_s += time.thread_time() - began_s
    frames = np.stack(inputs[:: max(1, len(inputs) // 300)])
    run_frames(engine, frames)
    engine_s = _cpu_s(lambda: run_frames(engine, frames))
    return {
        "decode": decode_s / len(inputs),
        "preprocess": prepare_s / len(inputs),
        "engine": engine_s / len(frames),
    }


def _decode(clip: str) -> Iterator[Pixels]:
    reader = open_video(clip)
    try:
        for picture in reader.pictures():
            yield picture.pixels
    finally:
        reader.close()


def _cpu_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s
