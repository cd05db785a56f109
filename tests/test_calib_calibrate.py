"""Facts about the search for an INT8 model and about `stream calibrate`."""

import dataclasses
import hashlib
import json

import cv2
import msgspec
import numpy as np
import pytest

from calib.calibrate import Search, find_calibrators
from calib.calibrating import Order, calibrate, split_frames
from calib.coverage import Chosen
from calib.frames import FrameSet
from calib.quantize import CALIBRATION_KEY, Calibration
from calib.refit import refit
from engines.base import run_frames
from engines.errors import EngineError
from engines.graph_check import find_refusals
from engines.graph_index import parse_graph
from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from engines.pixels import Pixels
from engines.preprocess import to_model_input
from stream.cli import main
from stream.errors import UsageError
from stream.sources.phantom import PhantomScene, parse_phantom
from tests.conv_model import noise_frames, save_conv
from tests.tiny_model import SIZE, save_tiny


def frame_set(inputs, per_clip=4):
    count = len(inputs)
    return FrameSet(
        inputs=inputs,
        names=tuple(f"frame{number}" for number in range(count)),
        groups=tuple(f"clip{number // per_clip}" for number in range(count)),
        times_s=np.full(count, np.nan),
        labels=np.full(count, -1, np.int64),
        origin="drawn",
    )


def chosen(inputs):
    return Chosen(frame_set(inputs), ("drawn",) * len(inputs))


@pytest.fixture(scope="module")
def phantom_inputs():
    """Two frames each of eight clips of the shipped model's organ."""
    spec = load_model(DEMO_MODEL).spec
    inputs = []
    for seed in range(8):
        finding = spec.classes[seed % len(spec.classes)]
        scene = PhantomScene(parse_phantom(f"phantom:kidney?seed={seed}&finding={finding}"))
        for place in (20, 80):
            picture = Pixels((scene.frame(place)[0],))
            inputs.append(to_model_input(picture, spec.input_wh, spec.fit))
    return np.stack(inputs)


def search(path, calibration, held_out, calibrators, max_float=0):
    reference = open_engine(load_model(path), "onnxruntime")
    try:
        found = Search(reference, chosen(calibration), frame_set(held_out), lambda *_: None)
        return found.run(calibrators, max_float), run_frames(reference, held_out)
    finally:
        reference.close()


def test_int8_of_the_shipped_model_agrees_on_frames_of_other_clips(phantom_inputs):
    found, wanted = search(
        DEMO_MODEL, phantom_inputs[:8], phantom_inputs[8:], ["percentile-99.999"]
    )
    engine = open_engine(found.model)
    answers = run_frames(engine, phantom_inputs[8:])
    engine.close()
    assert (answers.logits.argmax(1) == wanted.logits.argmax(1)).all()
    assert found.best.verdict.figures["cam_correlation"].value > 0.98
    assert not find_refusals(found.model.data)


def test_gate_refuses_a_model_calibrated_on_two_black_frames(tmp_path):
    black = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    found, _ = search(save_conv(tmp_path), black, noise_frames(48), list(find_calibrators("auto")))
    assert not any(trial.verdict.accepted for trial in found.trials)
    assert any("top1_agreement" in line for line in found.best.verdict.missed)


def test_the_calibrator_with_the_closest_answers_wins(tmp_path):
    frames = noise_frames(48)
    found, _ = search(save_conv(tmp_path), frames[:16], frames[16:], list(find_calibrators("auto")))
    assert len(found.trials) == 6
    assert found.best.rank == max(trial.rank for trial in found.trials)


def test_layers_stay_float_one_after_another_until_the_gate_passes(tmp_path, monkeypatch):
    verdicts = iter([("too far",), ("too far",), ()])
    monkeypatch.setattr("calib.agreement.judge", lambda figures: next(verdicts))
    frames = noise_frames(48)
    found, _ = search(save_conv(tmp_path), frames[:12], frames[12:], ["max"], max_float=3)
    assert [len(trial.float_layers) for trial in found.trials] == [0, 1, 2]
    assert found.best.float_layers == tuple(found.sensitivity)[:2]
    assert list(found.sensitivity.values()) == sorted(found.sensitivity.values())


def test_the_same_frames_and_seed_give_the_same_bytes(tmp_path):
    frames = noise_frames(40)
    one, other = (
        search(save_conv(tmp_path), frames[:12], frames[12:], ["mse"])[0].model.digest
        for _ in range(2)
    )
    assert one == other


def test_a_model_without_layers_is_refused(tmp_path):
    with pytest.raises(EngineError, match="nothing to quantise"):
        search(save_tiny(tmp_path), noise_frames(4), noise_frames(4), ["max"])


def test_frames_are_held_out_by_clip(tmp_path):
    gathered = frame_set(noise_frames(40))
    order = Order(8, 12, 0, ("max",), 0)
    split = split_frames(load_model(save_conv(tmp_path)), gathered, order)
    assert split.apart
    assert not set(split.held_out.groups) & set(split.chosen.frames.groups)
    assert len(split.held_out) == 12


def write_noise(folder, count=40):
    for number, picture in enumerate(noise_frames(count)):
        large = picture.repeat(2, axis=0).repeat(2, axis=1)  # the least that is read: 64 px
        cv2.imwrite(str(folder / f"{'abcdefgh'[number % 8]}-{number}.png"), large)


def test_command_writes_model_list_and_report(tmp_path):
    model, out = save_conv(tmp_path), tmp_path / "made" / "conv.int8.onnx"
    stills = tmp_path / "stills"
    stills.mkdir()
    write_noise(stills)
    status = calibrate(model, frames=[str(stills)], out=out, count=12, calibrator="mse")
    report = json.loads(out.with_suffix(".json").read_text())
    assert status == (0 if report["best"]["verdict"]["accepted"] else 4)
    made = load_model(out)
    notes = {entry.key: entry.value for entry in parse_graph(made.data).metadata_props}
    note = msgspec.json.decode(notes[CALIBRATION_KEY], type=Calibration)
    lines = (tmp_path / "made" / "conv.int8.frames.tsv").read_bytes()
    assert hashlib.sha256(lines).hexdigest() == note.frames_digest
    assert len(lines.splitlines()) == 14  # twelve and two dark ones


def test_command_on_two_black_pictures_writes_and_rejects(tmp_path, capsys):
    model, out = save_conv(tmp_path), tmp_path / "conv.int8.onnx"
    folder = tmp_path / "black"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(folder / name), np.zeros((64, 64, 3), np.uint8))
    assert main(["calibrate", str(model), "--frames", str(folder), "--out", str(out)]) == 4
    assert load_model(out).spec.precision == "int8"
    lines = [line for line in capsys.readouterr().err.splitlines() if "rejected" in line]
    assert len(lines) == 1
    assert "none was held out" in lines[0]


def test_an_int8_model_is_not_calibrated_again(tmp_path):
    frames = noise_frames(8)
    found, _ = search(save_conv(tmp_path), frames[:4], frames[4:], ["max"])
    path = tmp_path / "int8.onnx"
    path.write_bytes(found.model.data)
    with pytest.raises(EngineError, match="give the FP32 model"):
        calibrate(path, frames=["x"], out=tmp_path / "out.onnx")


@pytest.mark.parametrize(
    "changes", [{"count": 0}, {"calibrator": "best"}, {"out": "model.txt"}, {"max_float": -1}]
)
def test_unusable_arguments_are_named(tmp_path, changes):
    arguments = {"frames": ["x"], "out": "o.onnx"} | changes
    arguments["out"] = tmp_path / arguments["out"]
    with pytest.raises(UsageError):
        calibrate(save_conv(tmp_path), **arguments)


def test_refitted_temperature_is_in_graph_and_spec(tmp_path):
    metrics = {"frame_accuracy": 0.9, "calibration_error": 0.1}
    engine = open_engine(load_model(save_conv(tmp_path, metrics=metrics)))
    inputs = noise_frames(60)
    before = run_frames(engine, inputs)
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(60) < 0.7, before.logits.argmax(1), rng.integers(0, 2, 60))
    labels = labels.astype(np.int64)
    made, fitted = refit(engine, dataclasses.replace(frame_set(inputs), labels=labels))
    path = tmp_path / "refitted.onnx"
    path.write_bytes(made.data)
    after = run_frames(open_engine(load_model(path)), inputs)
    raw = np.exp(before.logits.astype(np.float64) / made.spec.temperature)
    assert np.abs(after.probs - raw / raw.sum(1, keepdims=True)).max() < 1e-5
    assert made.spec.temperature == fitted.temperature != fitted.old_temperature
    assert "60 frames" in made.spec.threshold_rule
    assert made.spec.metrics == {"frame_accuracy": 0.9}  # the error was that of the old one


def test_refitting_needs_labels_of_two_classes(tmp_path):
    engine = open_engine(load_model(save_conv(tmp_path)))
    with pytest.raises(EngineError, match="labels of 0 classes"):
        refit(engine, frame_set(noise_frames(4)))
