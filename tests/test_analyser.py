"""Facts about the analyser, with real engines."""

import numpy as np
import pytest

from engines.base import run_frames
from engines.errors import EngineError
from engines.load import load_model
from engines.open import open_engine
from stream.analysis.analyser import Analyser
from tests.frames import make_frame
from tests.tiny_model import GATE, save_tiny


@pytest.fixture
def analyser(tmp_path):
    engine = open_engine(load_model(save_tiny(tmp_path)), "onnxruntime")
    yield Analyser(engine)
    engine.close()


def noise(seq):
    grey = np.random.default_rng(seq).integers(0, 200, (48, 64, 1))
    tint = np.array([40 - seq, 0, seq])
    return (grey + tint).astype(np.uint8)


def test_step_gives_the_engines_answer_with_the_frames_identity(analyser):
    frame = make_frame(3, image=np.ascontiguousarray(noise(3)[:32, :32]))
    prediction = analyser.step(frame)
    direct = run_frames(analyser.engine, frame.image[None])
    assert prediction.id == frame.id and prediction.state == "ok"
    assert np.array_equal(prediction.probs, direct.probs[0])
    assert np.array_equal(prediction.cam, direct.cam[0])


def test_run_gives_the_same_answers_as_step_in_order(analyser):
    frames = [make_frame(seq, image=noise(seq)) for seq in range(20)]
    answers = list(analyser.run(frames))
    assert [frame.id.seq for frame, _ in answers] == list(range(20))
    for frame, prediction in answers:
        assert prediction.state == "ok"
        assert np.array_equal(prediction.probs, analyser.step(frame).probs)


def test_damaged_and_black_frames_are_not_run(analyser):
    damaged = analyser.step(make_frame(0, image=noise(0), damage="bits flipped"))
    black = analyser.step(make_frame(1, image=np.zeros((64, 64), np.uint8)))
    assert (damaged.state, damaged.reason, damaged.probs) == ("damaged", "bits flipped", None)
    assert (black.state, black.probs) == ("no_signal", None)


@pytest.mark.parametrize("shape_hw", [(480, 640), (270, 480)])
def test_f16_flat_and_coloured_screens_of_any_shape_never_reach_the_model(tmp_path, shape_hw):
    engine = open_engine(load_model(save_tiny(tmp_path, fit="letterbox")), "onnxruntime")
    flat = np.full((*shape_hw, 3), 128, np.uint8)
    bars = np.zeros((*shape_hw, 3), np.uint8)
    bars[:, : shape_hw[1] // 2, 0] = bars[:, shape_hw[1] // 2 :, 2] = 255
    states = [Analyser(engine).step(make_frame(0, image=image)) for image in (flat, bars)]
    engine.close()
    assert [(p.state, p.probs) for p in states] == [("uniform", None), ("not_ultrasound", None)]


def test_every_third_frame_is_analysed_and_the_others_are_skipped(analyser):
    frames = [make_frame(seq, image=noise(seq)) for seq in range(7)]
    states = [prediction.state for _, prediction in analyser.run(frames, every=3)]
    assert states == ["ok", "skipped", "skipped"] * 2 + ["ok"]


def test_an_unfamiliar_frame_is_invalid_with_its_distance(tmp_path):
    engine = open_engine(load_model(save_tiny(tmp_path, gate=GATE)), "onnxruntime")
    bright = 255 - noise(0) // 8
    prediction = Analyser(engine).step(make_frame(0, image=bright))
    engine.close()
    assert prediction.state == "not_ultrasound" and prediction.distance > 1


class FailingPending:
    def result(self):
        raise EngineError("engine", "outputs hold NaN or infinity", fault="F08")


def test_f08_an_unusable_answer_is_a_failed_frame_and_never_a_score(analyser, monkeypatch):
    monkeypatch.setattr(analyser.engine, "submit", lambda frame: FailingPending())
    prediction = analyser.step(make_frame(0, image=noise(0)))
    assert prediction.state == "failed_infer" and prediction.probs is None
    assert "F08" in prediction.reason


def refusing(fault):
    def submit(frames):
        raise EngineError("engine", "the device said no", fault=fault)

    return submit


def test_f05_a_run_that_cannot_start_is_a_failed_frame(analyser, monkeypatch):
    monkeypatch.setattr(analyser.engine, "submit", refusing("F05"))
    prediction = analyser.step(make_frame(0, image=noise(0)))
    assert prediction.state == "failed_infer"
    assert "error[F05] engine: the device said no" in prediction.reason


def test_f06_a_device_that_failed_is_not_asked_again(analyser, monkeypatch):
    monkeypatch.setattr(analyser.engine, "submit", refusing("F06"))
    with pytest.raises(EngineError, match=r"\[F06\]"):
        analyser.step(make_frame(0, image=noise(0)))
