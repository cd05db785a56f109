"""The known-answer probe finds an engine that answers wrongly."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from engines.base import EngineInfo, EngineOutput
from engines.errors import EngineError
from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from engines.options import Batch, EngineOptions
from engines.probe import (
    CAM_LIMIT,
    PROBS_LIMIT,
    Probe,
    Watch,
    decode_probe,
    encode_probe,
    make_probe,
    reference_frames,
)
from tests.engine_cases import NO_BF16
from tests.tiny_model import SPEC

FRAMES = np.zeros((2, 32, 32, 3), np.uint8)
PROBS = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
CAM = np.linspace(-2, 2, 2 * 2 * 16, dtype=np.float32).reshape(2, 2, 4, 4)
PROBE = Probe(FRAMES, PROBS, CAM)


class Answering:
    """An engine that gives fixed answers, one frame a run."""

    model, depth, max_batch = None, 1, 2
    info = EngineInfo("answering", "1", "CPU", "fp32")

    def __init__(self, probs=PROBS, cam=CAM):
        self.probs, self.cam = probs, cam
        self.asked = 0

    def submit(self, frames):
        self.asked += 1
        return self

    def result(self):
        zeros = np.zeros((2, 2), np.float32)
        return EngineOutput(zeros, self.probs, self.cam, zeros)


def test_the_same_answers_pass():
    assert PROBE.check(Answering()) == 0


def test_f07_a_probability_beyond_the_limit_is_an_error_with_the_difference():
    wrong = PROBS + np.array([[0, 0], [0.125, -0.125]], np.float32)
    with pytest.raises(EngineError, match=r"\[F07\].*probabilities differ by 0.12"):
        PROBE.check(Answering(wrong))


def test_f07_a_map_beyond_the_limit_is_an_error():
    wrong = CAM.copy()
    wrong[1, 0, 2, 2] += 0.5  # a quarter of the largest value, 2
    with pytest.raises(EngineError, match=r"\[F07\].*the map by 0.25 of its largest value"):
        PROBE.check(Answering(cam=wrong))


def test_f07_a_map_of_another_size_is_an_error():
    with pytest.raises(EngineError, match=r"\[F07\].*expected \(2, 2, 4, 4\)"):
        PROBE.check(Answering(cam=CAM[..., :2]))


def test_f07_an_answer_that_is_no_number_is_an_error():
    with pytest.raises(EngineError, match=r"\[F07\]"):
        PROBE.check(Answering(np.full_like(PROBS, np.nan)))


def test_differences_within_the_limits_pass():
    near = Answering(PROBS + np.float32(0.9 * PROBS_LIMIT), CAM + np.float32(1.8 * CAM_LIMIT))
    assert PROBE.check(near) == pytest.approx(0.9 * PROBS_LIMIT, rel=1e-3)


def test_f07_an_engine_that_answers_noise_is_found():
    rng = np.random.default_rng(0)
    share = rng.random((2, 1), np.float32)
    noise = Answering(np.hstack([share, 1 - share]), rng.random(CAM.shape, np.float32))
    with pytest.raises(EngineError, match=r"\[F07\]"):
        PROBE.check(noise)


def test_a_probe_comes_back_from_its_file_as_it_was():
    again = decode_probe(encode_probe(PROBE))
    for name in ("frames", "probs", "cam"):
        assert np.array_equal(getattr(again, name), getattr(PROBE, name))
    assert encode_probe(again) == encode_probe(PROBE)


def _with_pickle():
    buffer = io.BytesIO()
    arrays = {"frames": np.array([print], object), "probs": PROBS, "cam": CAM}
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def _without_cam():
    buffer = io.BytesIO()
    np.savez(buffer, frames=FRAMES, probs=PROBS)
    return buffer.getvalue()


def _empty_zip():
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", encode_probe(PROBE)[:-40], _with_pickle(), _without_cam(), _empty_zip()],
    ids=["empty", "magic", "cut", "pickle", "no-map", "empty-zip"],
)
def test_m06_a_file_that_is_no_probe_is_refused(data):
    with pytest.raises(EngineError, match=r"\[M06\] probe: cannot be read"):
        decode_probe(data)


def test_reference_frames_are_the_same_each_time_and_unlike_each_other():
    frames = reference_frames(SPEC)
    assert frames.shape == (4, 32, 32, 3)
    assert np.array_equal(frames, reference_frames(SPEC))
    assert len({frame.tobytes() for frame in frames}) == 4


def test_one_reference_frame_is_dark_and_the_corners_are_outside_the_fan():
    frames = reference_frames(load_model(DEMO_MODEL).spec)
    assert 0 < frames[1].mean() < 5 < frames[0].mean()
    assert frames[:, 0, 0].max() == 0


def test_the_watch_asks_at_once_and_then_once_a_period():
    engine, now = Answering(), [5_000_000_000]
    watch = Watch(engine, PROBE, period_s=60, clock_ns=lambda: now[0])
    assert watch.last_good_ns is None
    asked = []
    for after_s in (0, 1, 59, 60, 61, 119, 121):
        now[0] = 5_000_000_000 + after_s * 1_000_000_000
        asked.append(watch.check_if_due())
    assert asked == [True, False, False, True, False, False, True]
    assert engine.asked == 3
    assert watch.last_good_ns == 126_000_000_000


def test_f07_the_watch_remembers_when_the_answers_were_last_right():
    engine, now = Answering(), [0]
    watch = Watch(engine, PROBE, period_s=60, clock_ns=lambda: now[0])
    watch.check()
    engine.probs = PROBS[:, ::-1]
    now[0] = 70_000_000_000
    with pytest.raises(EngineError, match=r"\[F07\]"):
        watch.check_if_due()
    assert watch.last_good_ns == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("openvino", EngineOptions()),
        ("onnxruntime", EngineOptions()),
        pytest.param(
            "openvino",
            EngineOptions(precision="bf16"),
            marks=pytest.mark.skipif(bool(NO_BF16), reason=NO_BF16),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.precision,
)
def test_limits_leave_ten_times_the_room_that_batch_stream_and_threads_need(name, options):
    model = load_model(DEMO_MODEL)
    engine = open_engine(model, name, options)
    probe = make_probe(engine, reference_frames(model.spec))
    engine.close()
    for other in (
        replace(options, mode="latency"),
        replace(options, batch=Batch(1, 4, 4)),
        replace(options, threads=1),
    ):
        engine = open_engine(model, name, other)
        output = engine.submit(probe.frames[: engine.max_batch]).result()
        part = Probe(probe.frames[: len(output.probs)], *_cut(probe, len(output.probs)))
        probs, cam = part.differences(output)
        engine.close()
        assert (probs < PROBS_LIMIT / 10, cam < CAM_LIMIT / 10) == (True, True)


def _cut(probe, count):
    return probe.probs[:count], probe.cam[:count]
