"""Frames of several streams that wait at once are run together."""

from __future__ import annotations

import numpy as np
import pytest

from engines.errors import EngineError
from engines.load import load_model
from engines.open import open_engine
from engines.options import Batch, EngineOptions
from stream.analysis.analyser import Analyser
from stream.live.worker.gather import Gather
from tests.colour_engine import BRIGHT, NO_ANSWER, RED, Spoilt, picture
from tests.frames import make_frame as frame_of
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def batches(tmp_path):
    """A real engine that takes up to four frames in a run, and its model."""
    model = load_model(save_tiny(tmp_path))
    options = EngineOptions(batch=Batch(1, 4, 4))
    engine = Spoilt(open_engine(model, "onnxruntime", options))
    yield engine
    engine.close()


def steps(engine, frames):
    waiting = list(frames)
    return list(Analyser(engine).steps(lambda: waiting.pop(0) if waiting else None))


def noise(count, colour=RED):
    return [frame_of(seq, image=picture(colour, seq).to_image()) for seq in range(count)]


def test_frames_that_wait_at_once_are_run_together_with_the_answers_of_one_alone(batches):
    frames = noise(10)
    found = steps(Gather(batches), frames)
    assert batches.runs == [4, 4, 2]
    for frame, prediction in zip(frames, found, strict=True):
        alone = Analyser(batches).step(frame)
        assert prediction.id == frame.id and prediction.state == "ok"
        np.testing.assert_allclose(prediction.probs, alone.probs, atol=1e-6)
        np.testing.assert_allclose(prediction.cam, alone.cam, atol=1e-6)


def test_f08_one_picture_without_an_answer_fails_alone_in_its_batch(batches):
    batches.most = NO_ANSWER
    bright = frame_of(9, image=picture(BRIGHT).to_image())
    found = steps(Gather(batches), [*noise(3), bright])
    assert [one.state for one in found] == ["ok", "ok", "ok", "failed_infer"]


def test_f06_a_device_that_breaks_in_a_batch_is_not_asked_again(batches):
    batches.fault = "F06"
    with pytest.raises(EngineError, match="illegal address"):
        steps(Gather(batches), noise(8))
    assert batches.runs == [4]
