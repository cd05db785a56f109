"""Facts about `stream compile`: the verdict is stored, shown, and obeyed by the exit status."""

import dataclasses
import functools
import json

import cv2
import msgspec
import numpy as np
import onnx
import pytest

from calib import held_out, proof
from calib.held_out import frames_list, held_out_frames, phantom_frames
from calib.limits import LIMITS, Limit
from calib.proof import find_reference
from calib.quantize import CALIBRATION_KEY, Calibration
from engines.build import measure_speed
from engines.cache import list_entries, open_cache
from engines.errors import EngineError
from engines.load import load_model
from engines.open import DEMO_MODEL
from engines.ov import offered_precisions
from stream.cli import main
from stream.engine_facts import engine_rows, table_rows
from tests.gate_frames import make_colours
from tests.tiny_model import SPEC, build_tiny, save_tiny

needs_model = pytest.mark.skipif(not DEMO_MODEL.is_file(), reason="the bundled model is not built")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Judge on fewer clips, and time no longer than it takes to run."""
    monkeypatch.setattr(held_out, "CLIPS", 8)
    monkeypatch.setattr(proof, "measure_speed", functools.partial(measure_speed, round_s=0.0))


@pytest.fixture
def colours(monkeypatch):
    """Judge on plain colours; the tiny model sees nothing in grey pictures."""
    monkeypatch.setattr(proof, "held_out_frames", lambda *_: make_colours())


@pytest.fixture
def compile_to(tmp_path, capsys):
    def run(model, *flags, engine="openvino"):
        cache = ("--cache", str(tmp_path / "cache"))
        status = main(["compile", str(model), "--engine", engine, *cache, *flags])
        return status, capsys.readouterr()

    return run


def rows(tmp_path, path):
    return engine_rows(load_model(path), open_cache(tmp_path / "cache"))


def test_an_accepted_engine_exits_0_and_info_knows_it(tmp_path, compile_to, colours):
    path = save_tiny(tmp_path)
    status, printed = compile_to(path)
    assert status == 0
    assert printed.out.splitlines()[-1] == "accepted: tiny: openvino fp32, batch 1:1:1, throughput"
    (row,) = rows(tmp_path, path)
    assert (row.state, row.backend, row.top1_agreement) == ("accepted", "openvino", 1.0)
    assert row.over_default > 0


def test_info_shows_the_engines_of_a_model(tmp_path, compile_to, colours, capsys):
    path = save_tiny(tmp_path)
    compile_to(path)
    assert main(["info", str(path), "--cache", str(tmp_path / "cache"), "--json"]) == 0
    (engine,) = json.loads(capsys.readouterr().out)["engines"]
    assert (engine["state"], engine["precision"]) == ("accepted", "fp32")


def test_the_second_run_finds_the_engine_and_its_verdict(tmp_path, compile_to, colours):
    path = save_tiny(tmp_path)
    first = json.loads(compile_to(path, "--json")[1].out)
    second = json.loads(compile_to(path, "--json")[1].out)
    assert (first["cached"], first["judged_before"]) == (False, False)
    assert (second["cached"], second["judged_before"]) == (True, True)
    assert (second["verdict"], second["speed"]) == (first["verdict"], first["speed"])
    assert compile_to(path)[1].out.startswith("found in the cache, judged before: ")


def save_stills(folder, frames):
    """Write one still of 64 x 64 pixels per frame, in a folder named like its class."""
    rows = zip(frames.inputs, frames.labels, strict=True)
    for number, (picture, label) in enumerate(rows):
        place = folder / SPEC.classes[label] / f"{number}x.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(place), cv2.resize(picture[..., ::-1], (64, 64)))
    return str(folder)


def test_given_frames_are_read_and_judge_a_cached_engine_again(tmp_path, compile_to):
    path, stills = save_tiny(tmp_path), save_stills(tmp_path / "stills", make_colours(36))
    assert compile_to(path)[0] == 5
    answer = json.loads(compile_to(path, "--frames", stills, "--json")[1].out)
    assert (answer["cached"], answer["judged_before"]) == (True, False)
    assert (answer["verdict"]["accepted"], answer["verdict"]["frames"]) == (True, 36)
    assert "auroc_change" in answer["verdict"]["figures"]


def test_every_option_is_another_engine(tmp_path, compile_to, colours):
    path = save_tiny(tmp_path)
    for flags in ((), ("--batch", "1:2:4"), ("--mode", "latency")):
        assert compile_to(path, *flags)[0] == 0
    assert {(row.batch, row.mode) for row in rows(tmp_path, path)} == {
        ("1:1:1", "throughput"),
        ("1:2:4", "throughput"),
        ("1:1:1", "latency"),
    }


def test_frames_of_one_kind_reject_the_engine_with_exit_5_twice(tmp_path, compile_to):
    path = save_tiny(tmp_path)
    status, printed = compile_to(path, engine="onnxruntime")
    assert status == 5
    assert "rejected: tiny: onnxruntime fp32" in printed.err
    assert "minority_share 0: at least 0.05" in printed.err
    assert compile_to(path, engine="onnxruntime")[0] == 5
    (row,) = rows(tmp_path, path)
    assert row.state == "rejected"
    assert "rejected: minority_share 0" in table_rows((row,))[0][2]


def test_int8_of_a_model_that_is_not_quantised_names_the_command(tmp_path, compile_to):
    status, printed = compile_to(save_tiny(tmp_path), "--precision", "int8")
    assert status == 5
    assert len(printed.err.splitlines()) == 1
    assert "`stream calibrate`" in printed.err


@pytest.mark.parametrize("flags", [("--batch", "4:2:1"), ("--precision", "fp8")])
def test_a_batch_or_precision_that_does_not_exist_is_a_usage_error(tmp_path, compile_to, flags):
    assert compile_to(save_tiny(tmp_path), *flags)[0] == 2


def test_a_damaged_sidecar_is_shown_as_unusable(tmp_path, compile_to, colours):
    path = save_tiny(tmp_path)
    compile_to(path)
    (entry,) = list_entries(open_cache(tmp_path / "cache"))
    (entry.place / "sidecar.json").write_bytes(b"{}\n")
    (row,) = rows(tmp_path, path)
    assert (row.state, row.entry) == ("unusable", f"cached engine {entry.place.name}")


def test_engines_of_another_model_are_not_shown(tmp_path, compile_to, colours):
    compile_to(save_tiny(tmp_path))
    assert rows(tmp_path, save_tiny(tmp_path, threshold=0.4)) == ()


def test_the_reference_lies_beside_the_model_made_from_it(tmp_path):
    reference = load_model(save_tiny(tmp_path))
    path = tmp_path / "tiny.int8.onnx"
    onnx.save(build_tiny(reference_digest=reference.digest), path)
    made = load_model(path)
    assert find_reference(made, path).digest == reference.digest
    assert find_reference(reference, tmp_path / "tiny.onnx") is reference
    save_tiny(tmp_path, threshold=0.4)
    with pytest.raises(EngineError, match="is not that of the reference"):
        find_reference(made, path)
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(EngineError, match="--reference"):
        find_reference(made, path)


def save_calibrated(folder, frames):
    """Write a model that names these frames as those that calibrated it, and their list."""
    model, path = build_tiny(), folder / "tiny.int8.onnx"
    note = msgspec.json.encode(Calibration("max", frames.digest())).decode()
    model.metadata_props.add(key=CALIBRATION_KEY, value=note)
    onnx.save(model, path)
    frames_list(path).write_text("\n".join(frames.lines()) + "\n")
    return path


def test_clips_that_calibrated_the_model_are_left_out_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "CLIPS", 3)
    frames = phantom_frames(load_model(save_tiny(tmp_path)).spec)
    path = save_calibrated(tmp_path, frames.take(np.array([0, 5])))
    left = held_out_frames(load_model(path), path)
    assert len(left) == 12 - 8
    assert set(left.groups) == set(frames.groups) - {frames.groups[0], frames.groups[5]}


def test_without_the_right_list_nobody_knows_what_is_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "CLIPS", 1)
    frames = phantom_frames(load_model(save_tiny(tmp_path)).spec)
    path = save_calibrated(tmp_path, frames)
    with pytest.raises(EngineError, match="all 4 frames are of groups that calibrated it"):
        held_out_frames(load_model(path), path)
    frames_list(path).write_text("another list")
    with pytest.raises(EngineError, match="is not the list of frames that calibrated"):
        held_out_frames(load_model(path), path)
    frames_list(path).unlink()
    with pytest.raises(EngineError, match=r"tiny.int8.frames.tsv: cannot be read"):
        held_out_frames(load_model(path), path)


@needs_model
def test_generated_frames_carry_labels_for_a_model_of_their_organ():
    frames = phantom_frames(load_model(DEMO_MODEL).spec)
    assert len(frames) == 32
    assert set(frames.labels.tolist()) == {0, 1}
    assert all("seed=70000" in group for group in frames.groups)


@needs_model
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_openvino_is_accepted_for_the_bundled_model(tmp_path, compile_to, precision):
    if precision not in offered_precisions():
        pytest.skip("this processor has no native bf16")
    assert compile_to(DEMO_MODEL, "--precision", precision)[0] == 0
    assert compile_to(DEMO_MODEL, "--precision", precision)[1].out.startswith("found in the cache")
    (row,) = rows(tmp_path, DEMO_MODEL)
    assert (row.state, row.precision) == ("accepted", precision)
    assert row.frames_from.startswith("8 generated phantom clips (kidney)")


def test_groups_are_known_by_another_root_of_their_path(tmp_path, monkeypatch):
    frames = make_colours(8, people=2)
    first = dataclasses.replace(frames, groups=("x.mp4",) * 4 + ("y.mp4",) * 4)
    path = save_calibrated(tmp_path, first.take(np.array([0])))
    other = make_colours(8, seed=1)
    again = dataclasses.replace(other, groups=("folder/x.mp4",) * 4 + ("folder/y.mp4",) * 4)
    monkeypatch.setattr(held_out, "gather_frames", lambda *_: again)
    assert set(held_out_frames(load_model(path), path, ["folder"]).groups) == {"folder/y.mp4"}


def test_a_black_frame_that_calibrated_the_model_stands_for_no_group(tmp_path, monkeypatch):
    frames = make_colours(8, people=4)
    frames.inputs[:4] = 0  # one black frame of each person
    path = save_calibrated(tmp_path, frames.take(np.array([0])))
    monkeypatch.setattr(held_out, "gather_frames", lambda *_: frames)
    left = held_out_frames(load_model(path), path, ["clips"])
    assert set(left.groups) == {"person 1", "person 2", "person 3"}


def test_a_stored_verdict_is_held_against_the_limits_of_today(
    tmp_path, compile_to, colours, monkeypatch
):
    path = save_tiny(tmp_path)
    assert compile_to(path)[0] == 0
    with monkeypatch.context() as patch:
        strict = (Limit("top1_agreement", "least", 1.5, "none can"),)
        patch.setattr("calib.limits.LIMITS", (*LIMITS, *strict))
        status, printed = compile_to(path)
        assert (status, rows(tmp_path, path)[0].state) == (5, "rejected")
        assert "judged again" in printed.err
    assert compile_to(path)[0] == 0
    assert rows(tmp_path, path)[0].state == "accepted"


def test_a_limit_on_what_was_not_measured_compares_the_engine_again(
    tmp_path, compile_to, colours, monkeypatch
):
    path = save_tiny(tmp_path)
    compile_to(path)
    monkeypatch.setattr("calib.limits.LIMITS", (*LIMITS, Limit("new", "least", 0, "new")))
    assert json.loads(compile_to(path, "--json")[1].out)["judged_before"] is False
