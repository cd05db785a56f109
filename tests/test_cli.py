"""Facts about the command line, run as a program."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from onnx import numpy_helper

from engines.errors import EngineError
from stream.cli import main
from stream.session.ledger import balances
from stream.session.manifest import read_manifest
from tests.clips import write_clip
from tests.interrupts import heed_interrupts
from tests.tiny_model import build_tiny, save_tiny


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path)
    return tmp_path


def replay(*arguments):
    return main(["replay", *arguments, "--model", "tiny.onnx", "--out", "out"])


def test_replay_prints_the_path_of_the_report(here, capsys):
    write_clip(here / "clip.mp4", 20)
    assert replay("clip.mp4") == 0
    assert "report: out/clip/report/index.html" in capsys.readouterr().out
    assert (here / "out/clip/report/index.html").is_file()


def test_a_folder_of_clips_gives_one_report_each_and_a_summary(here, capsys):
    (here / "clips").mkdir()
    for name in ("a", "b"):
        write_clip(here / "clips" / f"{name}.mp4", 10)
    assert replay("clips", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["session"] for row in rows] == ["out/a", "out/b"]
    assert all(row["ledger"]["grabbed"] == 10 for row in rows)


def test_one_bad_clip_does_not_stop_the_others_and_exits_4(here, capsys):
    write_clip(here / "good.mp4", 10)
    (here / "bad.mp4").write_bytes(b"")
    assert replay("bad.mp4", "good.mp4") == 4
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0].startswith("error[V01] bad.mp4: ")
    assert (here / "out/good/report/index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("absent.mp4",), 3, "absent.mp4"),
        (("clip.mp4", "--top-k", "0"), 2, "top_k = 0"),
        (("clip.mp4", "--score", "best"), 2, "evidence-v1"),
        (("clip.mp4", "--engine", "abacus"), 5, "abacus"),
        (("clip.mp4", "--colour", "red"), 2, "--colour"),
        (("clip.mp4", "--top-k", "many"), 2, "many"),
        (("phantom:kidny",), 2, "kidney"),
        (("empty-folder",), 3, "no clip"),
    ],
)
def test_bad_input_gives_one_line_and_the_right_status(here, capsys, arguments, status, says):
    write_clip(here / "clip.mp4", 5)
    (here / "empty-folder").mkdir()
    assert replay(*arguments) == status
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error") and says in lines[0]


def test_a_refused_model_exits_5(here, capsys):
    (here / "bad.onnx").write_bytes(b"\x80\x04pickle")
    write_clip(here / "clip.mp4", 5)
    assert main(["replay", "clip.mp4", "--model", "bad.onnx"]) == 5
    assert "error[M01] bad.onnx: is a Python pickle" in capsys.readouterr().err


def test_an_out_that_is_a_file_exits_2_before_any_work(here, capsys):
    write_clip(here / "clip.mp4", 5)
    (here / "out").touch()
    assert replay("clip.mp4") == 2
    assert "C08" in capsys.readouterr().err


def test_verify_exits_0_then_6_after_a_change(here, capsys):
    write_clip(here / "clip.mp4", 10)
    replay("clip.mp4")
    assert main(["verify", "out/clip"]) == 0
    assert "identical" in capsys.readouterr().out
    with (here / "out/clip/report/report.json").open("a") as file:
        file.write(" ")
    assert main(["verify", "out/clip"]) == 6


def test_info_tells_models_and_clips_as_json(here, capsys):
    write_clip(here / "clip.mp4", 10)
    assert main(["info", "tiny.onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == ["blue", "red"]
    assert main(["info", "clip.mp4", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["size_wh"]) == ("video", [160, 120])


def test_v23_a_name_that_begins_with_a_dash_works(here, capsys):
    write_clip(here / "-x.mp4", 5)
    assert main(["replay", "--model", "tiny.onnx", "--out", "out", "--", "-x.mp4"]) == 0
    assert (here / "out/x/report/index.html").is_file()


def test_v23_a_name_that_is_not_utf_8_is_refused_and_leaves_nothing(here, capsys):
    write_clip(here / "x.mp4", 5).rename(here / os.fsdecode(b"\xff.mp4"))
    assert main(["replay", "--model", "tiny.onnx", "--out", "out", os.fsdecode(b"\xff.mp4")]) == 3
    assert "not UTF-8" in capsys.readouterr().err and not list((here / "out").glob("*"))


def test_debug_shows_the_traceback(here):
    with start(here, "replay", "absent.mp4", "--debug") as program:
        assert "Traceback" in program.stderr.read()
    assert program.returncode == 3


LONG = "x" * 300


@pytest.mark.parametrize(
    ("command", "status", "fault"),
    [
        (("replay", "clip.mp4", "--out", LONG), 2, "C08"),
        (("replay", "clip.mp4", "--out", "/proc/x"), 2, "C08"),
        (("replay", "clip.mp4", "--model", LONG), 5, ""),
        (("info", LONG + ".onnx"), 5, ""),
        (("info", "weights.pt"), 5, "M01"),
        (("phantom", "phantom:kidney?seconds=1", LONG + ".mp4"), 6, ""),
        (("phantom", "phantom:kidney?seconds=1", "x.txt"), 2, "C08"),
        (("verify", "."), 6, ""),
    ],
)
def test_awkward_paths_give_one_line_and_the_right_status(here, capsys, command, status, fault):
    write_clip(here / "clip.mp4", 5)
    (here / "weights.pt").write_bytes(b"PK\x03\x04")
    assert main(list(command)) == status
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error") and fault in lines[0]


def test_an_address_that_cannot_be_used_does_not_stop_the_other_clips(here, capsys):
    write_clip(here / "good.mp4", 5)
    assert replay("phantom:kidny", "good.mp4", "--json") == 4
    rows = json.loads(capsys.readouterr().out)
    assert [row["exit_code"] for row in rows] == [2, 0]


def test_json_names_the_engine_and_why_it_was_taken(here, capsys):
    write_clip(here / "clip.mp4", 5)
    assert replay("clip.mp4", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["engine"]["name"], row["engine"]["standing"]) == ("openvino", "default")
    assert "of ONNX Runtime on 4 probe frames" in row["engine"]["reason"]


def test_f07_clips_after_a_failed_engine_are_named_as_not_analysed(here, capsys, monkeypatch):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        write_clip(here / name, 5)

    def fail(watch):
        raise EngineError("engine", "known-answer probe: wrong", fault="F07")

    monkeypatch.setattr("engines.probe.Watch.check", fail)
    assert replay("a.mp4", "b.mp4", "c.mp4") == 5
    assert "2 clips were not analysed: b.mp4, c.mp4" in capsys.readouterr().err
    assert not (here / "out/b").exists()


def test_f08_a_model_that_never_answers_exits_5_and_says_so(here, capsys):
    write_clip(here / "clip.mp4", 5)
    model = build_tiny()
    bias = next(t for t in model.graph.initializer if t.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(2, np.nan, np.float32), "bias"))
    save_tiny(here, model)
    assert replay("clip.mp4") == 5
    assert "NaN" in capsys.readouterr().err


def test_settings_file_and_flag_reach_the_manifest(here, capsys):
    write_clip(here / "clip.mp4", 10)
    (here / "settings.toml").write_text("top_k = 3\nhold_s = 0.5\n")
    assert replay("clip.mp4", "--config", "settings.toml", "--top-k", "2") == 0
    config = json.loads((here / "out/clip/manifest.json").read_text())["config"]
    assert (config["top_k"], config["hold_s"]) == (2, 0.5)


def start(here, *arguments):
    command = [sys.executable, "-m", "stream.cli", *arguments]
    return subprocess.Popen(
        command, cwd=here, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )


@pytest.mark.parametrize("frames", [0, 1, 60])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_f31_a_signal_ends_replay_with_nothing_half_written(here, number, status, frames):
    address = "phantom:kidney?seed=1&seconds=60"
    with start(here, "replay", address, "--model", "tiny.onnx", "--out", "out") as program:
        deadline = time.monotonic() + 30
        while not list(here.glob("out/*/journal.sqlite")) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(frames * 0.02)
        program.send_signal(number)
        assert program.wait(timeout=5) == status
        assert "Traceback" not in program.stderr.read()
    for session in here.glob("out/*"):
        manifest = read_manifest(session)
        assert not manifest.complete and balances(manifest.ledger)
        assert [path.name for path in session.glob("journal*")] == ["journal.sqlite"]
