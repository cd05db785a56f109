"""Labels that `stream review --export` writes are what `stream train --data` takes, unchanged."""

import subprocess
import sys
from csv import DictReader
from pathlib import Path

import pytest

from engines.load import load_model
from stream.review.records import Call
from stream.review_command import review
from tests.dicom_sessions import record
from tests.test_review_labels import judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
RECIPE = """
name = "read"
classes = ["blue", "red"]
positive_class = "red"
backbones = ["small-cnn"]
frozen = "none"
licence = "none"
intended_use = "tests; not a medical device"
input_px = 64
"""
CALLS = {0: Call("labelled", "blue"), 20: Call("labelled", "red"), 24: Call("rejected")}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a folder of one reader's labels of six phantoms, one blue and one red frame each."""
    folder = tmp_path_factory.mktemp("read")
    sessions = []
    for seed in range(6):
        address = f"phantom:kidney?seed={seed}&seconds=0.9&finding=dilated&size=160x120"
        sessions.append(record(address, folder))
        judge(sessions[-1], "hana", CALLS, f"P{seed}")
    assert review([str(one) for one in sessions], reader="hana", export=folder / "labels") == 0
    (folder / "read.toml").write_text(RECIPE)
    return folder


def test_a_model_is_trained_on_the_table_of_exported_labels(exported, tmp_path):
    table = exported / "labels" / "frames.csv"
    command = [sys.executable, "-m", "stream.cli", "train", str(exported / "read.toml"), "--quick"]
    flags = ["--data", str(table), "--out", str(tmp_path)]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert load_model(tmp_path / "read" / "model.onnx").spec.classes == ("blue", "red")
    with table.open(newline="") as file:
        given = {Path(row["file"]).name: (row["label"], row["group"]) for row in DictReader(file)}
    lines = (tmp_path / "read" / "trained-on.tsv").read_text().splitlines()
    trained = {
        name: (("blue", "red")[int(label)], group)
        for _, name, _, label, group, _ in (line.split("\t") for line in lines)
    }
    assert len(given) == 12 and trained.items() < given.items()
    assert {label for label, _ in trained.values()} == {"blue", "red"}
