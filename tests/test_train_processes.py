"""Facts about `stream train` as a process: killed and resumed, interrupted, and two at once."""

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.interrupts import heed_interrupts
from tests.train_data import write_stills

EPOCHS = 8
RECIPE = f"""
name = "small"
classes = ["dark", "bright"]
positive_class = "bright"
backbones = ["small-cnn"]
frozen = "none"
licence = "none"
intended_use = "tests; not a medical device"
input_px = 64
epochs = {EPOCHS}
draws = 0
batch = 4
optimizer = "adam"
weight_decay = 0.0
learning_rate = 0.001
keep = "best"
stop = {{ patience = 50 }}
augment = {{ contrast = 0.1 }}
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The recipe's file and 28 grainy pictures, of which half are brighter."""
    root, rng = tmp_path_factory.mktemp("given"), np.random.default_rng(0)
    for name, level in (("dark", 90), ("bright", 130)):
        stills = rng.normal(level, 30, (14, 64, 64)).clip(0, 255).astype(np.uint8)
        write_stills(root / "data" / name, list(stills))
    (root / "small.toml").write_text(RECIPE)
    return root


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    """The folder of a run in one process that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    subprocess.run(command(given, out), check=True, capture_output=True, timeout=200)
    return out / "small"


def command(given, out, *flags, launcher=()):
    order = ["train", str(given / "small.toml"), "--data", str(given / "data"), "--out", str(out)]
    return [sys.executable, *launcher, "-m", "stream.cli", *order, *flags]


def stop_after(line, number, words):
    """Send a signal to a process as soon as it says a line; return its status and what it said."""
    lines = []
    heeding = {"preexec_fn": heed_interrupts, "text": True}
    with subprocess.Popen(words, stderr=subprocess.PIPE, **heeding) as process:
        for said in process.stderr:
            lines.append(said)
            if line in said:
                process.send_signal(number)
    return process.returncode, "".join(lines)


def read_history(folder):
    with (folder / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_network_without_a_pretrained_part_is_no_random_start(whole):
    assert json.loads((whole / "metrics.json").read_text())["warnings"] == []


def test_killed_and_resumed_run_leaves_the_same_files(given, whole, tmp_path):
    moment = int(np.random.default_rng().integers(1, EPOCHS))
    for line, flags in (("are trained;", ()), (f"epoch {moment} of", ("--resume",))):
        status, _ = stop_after(line, signal.SIGKILL, command(given, tmp_path, *flags))
        assert status == -signal.SIGKILL
    subprocess.run(command(given, tmp_path, "--resume"), check=True, timeout=200)
    folder = tmp_path / "small"
    for name in ("metrics.json", "model.onnx"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), (name, moment)
    assert read_history(folder) == read_history(whole)


def test_two_processes_leave_the_figures_of_one(given, whole, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = subprocess.run(
        command(given, tmp_path, launcher=launcher),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stdout.count("model: ") == done.stderr.count("best on validation") == 1
    one, two = (numbers(folder / "metrics.json") for folder in (whole, tmp_path / "small"))
    assert two == pytest.approx(one, abs=0.01)
    losses = [float(row["train_loss"]) for row in read_history(tmp_path / "small")]
    assert losses == pytest.approx(
        [float(row["train_loss"]) for row in read_history(whole)], rel=0.01
    )
    assert losses[-1] < 0.8 * losses[0]


def numbers(path):
    """Return every number of a JSON file but those that only say how exact the engine was."""
    found = json.loads(path.read_text())
    found.pop("parity")
    return list(walk(found))


def walk(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for inner in value for number in walk(inner)]
    return [value] if isinstance(value, (int, float)) else []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_training_ends_with_the_signals_status_and_no_model(given, tmp_path, number):
    status, said = stop_after("epoch 2 of", number, command(given, tmp_path))
    assert status == 128 + number
    assert "Traceback" not in said
    assert not (tmp_path / "small" / "model.onnx").exists()
