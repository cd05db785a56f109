"""Facts about demo, doctor and phantom: what a new user runs first."""

import json

import pytest

from engines.open import DEMO_MODEL
from stream.cli import main
from stream.replay_command import DEMO_CLIP
from stream.session.manifest import read_manifest

needs_model = pytest.mark.skipif(not DEMO_MODEL.is_file(), reason="the bundled model is not built")


@needs_model
def test_demo_finds_the_dilated_pelvis_in_five_frames(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert "report: sessions/kidney/report/index.html" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "sessions/kidney")
    assert manifest.verdict.label == "dilated"
    report = json.loads((tmp_path / "sessions/kidney/report/report.json").read_text())
    assert len(report["key_frames"]) == 5


@needs_model
def test_doctor_finds_both_engines_working_and_in_agreement(capsys):
    assert main(["doctor", "--json"]) == 0
    engines = json.loads(capsys.readouterr().out)["engines"]
    works = {name: result["works"] for name, result in engines.items()}
    assert (works["openvino"], works["onnxruntime"]) == ("yes", "yes")


def test_phantom_writes_a_playable_clip_and_never_overwrites(tmp_path, capsys):
    target = str(tmp_path / "clip.mp4")
    address = "phantom:lung?seed=3&seconds=1&size=320x240"
    assert main(["phantom", address, target]) == 0
    assert main(["info", target, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (facts["frame_count"], facts["size_wh"]) == (25, [320, 240])
    assert main(["phantom", address, target]) == 2


def test_the_bundled_clip_is_small():
    assert DEMO_CLIP.stat().st_size < 2_000_000
