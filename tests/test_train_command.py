"""Facts about the training command's own function."""

import os
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.load import load_model
from stream.errors import UsageError
from tests.train_data import BUILDERS, order
from train.command import Order, run_recipe

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def lung(tmp_path_factory):
    return BUILDERS["lung"](tmp_path_factory.mktemp("lung"))


@pytest.mark.slow
def test_same_recipe_and_seed_give_the_same_model_and_figures(tmp_path, lung):
    files = []
    for place in ("one", "two"):
        run_recipe(order("lung", tmp_path / place, lung, input_px=64), lambda line: None)
        folder = tmp_path / place / "lung"
        files.append([(folder / file).read_bytes() for file in ("model.onnx", "metrics.json")])
    assert files[0] == files[1]


@pytest.mark.slow
def test_figures_of_an_earlier_run_do_not_stay(tmp_path, lung):
    old = tmp_path / "lung" / "figures" / "old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    (tmp_path / "lung" / "model.onnx").touch()
    run_recipe(order("lung", tmp_path, lung, input_px=64, overwrite=True), lambda line: None)
    assert not old.exists() and (old.parent / "roc.png").is_file()


def test_c08_folder_that_holds_a_run_is_not_touched(tmp_path, lung):
    kept = tmp_path / "lung" / "model.onnx"
    kept.parent.mkdir()
    kept.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"\[C08\].*holds a run; give --resume, --overwrite"):
        run_recipe(order("lung", tmp_path, lung), lambda line: None)
    assert [path.name for path in kept.parent.iterdir()] == ["model.onnx"]


@pytest.mark.slow
def test_model_that_differs_from_torch_is_not_left(tmp_path, lung, monkeypatch):
    monkeypatch.setattr("train.nets.export.TOLERANCE", -1.0)
    with pytest.raises(EngineError, match="engine and torch differ"):
        run_recipe(order("lung", tmp_path, lung, input_px=64), lambda line: None)
    assert not (tmp_path / "lung" / "model.onnx").exists()


def test_command_on_the_card_names_no_folder():
    given = Order("/home/me/mine.toml", Path("/data"), Path("/w/a.pth"), Path("runs"))
    assert given.command == "stream train mine.toml --data FOLDER --weights a.pth"


@pytest.mark.slow
def test_phantom_run_writes_model_and_card(tmp_path):
    run_recipe(order("phantom-kidney", tmp_path), lambda line: None)
    folder = tmp_path / "phantom-kidney"
    assert load_model(folder / "model.onnx").spec.positive_class == "dilated"
    assert "not a medical device" in (folder / "model.md").read_text()


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    """A table in which one person sits in two parts."""
    root = BUILDERS["puj"](tmp_path_factory.mktemp("leak"))
    rows = ["file,label,patient,split"]
    for number in range(14):
        for folder, label in (("normal", "normal"), ("PUJ", "obstructed")):
            part = ("train", "train", "validation", "test")[number % 4]
            patient = "same" if number in (2, 3) else f"{label}{number}"
            rows.append(f"{folder}/frame{number}.png,{label},{patient},{part}")
    (root / "frames.csv").write_text("\n".join(rows) + "\n")
    return root


LEAKY = """
name = "leaky"
classes = ["normal", "obstructed"]
positive_class = "obstructed"
backbones = ["small-cnn"]
frozen = "none"
licence = "none"
intended_use = "tests; not a medical device"
split = { kind = "given", by = "image" }
"""


@pytest.fixture
def leaky(tmp_path):
    (tmp_path / "leaky.toml").write_text(LEAKY)
    return str(tmp_path / "leaky.toml")


def test_c04_leaking_split_is_refused_before_training(tmp_path, leaky, leaking):
    with pytest.raises(UsageError, match=r"\[C04\].*patient.*--allow-leak"):
        run_recipe(order(leaky, tmp_path, leaking, input_px=64), lambda line: None)
    assert not (tmp_path / "leaky" / "model.onnx").exists()


@pytest.mark.slow
def test_c04_allowed_leak_is_written_into_model_and_card(tmp_path, leaky, leaking):
    asked = order(leaky, tmp_path, leaking, allow_leak=True, input_px=64)
    run_recipe(asked, lambda line: None)
    folder = tmp_path / "leaky"
    assert "LEAKING SPLIT" in load_model(folder / "model.onnx").spec.metrics_split
    assert "LEAKING SPLIT" in (folder / "model.md").read_text()


def test_recipe_that_needs_data_says_so(tmp_path):
    with pytest.raises(UsageError, match="give --data FOLDER"):
        run_recipe(order("lung", tmp_path), print)


def test_recipe_that_generates_its_clips_takes_no_data(tmp_path):
    with pytest.raises(UsageError, match="leave --data out"):
        run_recipe(order("phantom-kidney", tmp_path, tmp_path), print)


def test_input_too_small_for_the_network_is_refused(tmp_path, lung):
    with pytest.raises(UsageError, match="give a larger input_px"):
        run_recipe(order("puj", tmp_path, BUILDERS["puj"](tmp_path / "d"), input_px=80), print)


def test_run_of_another_recipe_is_not_resumed(tmp_path, lung):
    (tmp_path / "lung").mkdir()
    (tmp_path / "lung" / "recipe.json").write_text("{}")
    with pytest.raises(UsageError, match="another recipe was run here"):
        run_recipe(order("lung", tmp_path, lung, resume=True), print)


def test_c08_run_folder_inside_the_data_is_refused_before_any_work(tmp_path, lung):
    with pytest.raises(UsageError, match=r"\[C08\].*lies inside the data"):
        run_recipe(order("lung", lung / "runs", lung), print)
    assert not (lung / "runs").exists()


def test_nothing_to_resume_is_said(tmp_path, lung):
    with pytest.raises(UsageError, match="nothing to resume"):
        run_recipe(order("lung", tmp_path, lung, resume=True), print)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_c08_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match=r"\[C08\]"):
        run_recipe(order("phantom-kidney", tmp_path), print)


def test_c08_file_in_place_of_the_run_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "phantom-kidney").write_text("in the way")
    with pytest.raises(UsageError, match=r"\[C08\]"):
        run_recipe(order("phantom-kidney", tmp_path), print)
