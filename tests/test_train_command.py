"""Facts about whole training runs, tiny ones, by the command's own function."""

import os

import cv2
import msgspec
import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2

from engines.load import load_model
from stream.errors import StorageError, UsageError
from train.command import Order, run_recipe
from train.evaluate import evaluate_model
from train.recipe import RECIPES
from train.report import RunReport

CLASSES = ("covid", "pneumonia", "regular")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(mobilenet_v2().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two folds, three classes, two people each, two stills per person; classes differ in grey."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = ["file,label,fold,source,frame,patient,licence"]
    for number in range(24):
        fold, label, person = number % 2, number // 2 % 3, number // 6 % 2
        picture = rng.normal(60 + 70 * label, 10, (90, 120)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"{number}.png"), picture)
        patient = f"{fold}{label}{person}"
        rows.append(f"{number}.png,{CLASSES[label]},{fold},clip{patient},0,{patient},CC BY 4.0")
    (root / "frames.csv").write_text("\n".join(rows) + "\n")
    return root / "frames.csv"


def order(recipe, out, weights, data=None, seed=None):
    return Order(recipe, data, weights, out, seed, quick=True)


@pytest.fixture(scope="module")
def lung(tmp_path_factory, weights, table):
    out = tmp_path_factory.mktemp("runs")
    run_recipe(order("lung", out, weights, table.parent), lambda line: None)
    return out / "lung"


@pytest.mark.slow
def test_lung_run_writes_a_model_that_the_loader_accepts(lung):
    spec = load_model(lung / "lung.onnx").spec
    assert (spec.classes, spec.cam_kind, spec.licence[:3]) == (CLASSES, "cam", "not")


@pytest.mark.slow
def test_lung_run_tests_every_frame_once_and_counts_people(lung):
    report = msgspec.json.decode((lung / "metrics.json").read_bytes(), type=RunReport)
    assert (report.frames.count, report.frames.groups, report.clips.count) == (24, 12, 12)
    assert sorted(report.parts) == ["0", "1"]


@pytest.mark.slow
def test_lung_model_is_measured_on_a_table_of_the_same_layout(lung, table):
    assert evaluate_model(lung / "lung.onnx", [str(table)]).frames.count == 24


@pytest.mark.slow
def test_same_recipe_and_seed_give_the_same_figures(lung, tmp_path, weights, table):
    run_recipe(order("lung", tmp_path, weights, table.parent), lambda line: None)
    again = (tmp_path / "lung" / "metrics.json").read_bytes()
    assert again == (lung / "metrics.json").read_bytes()


@pytest.mark.slow
def test_phantom_run_writes_model_and_card(tmp_path, weights):
    _, path = run_recipe(order("phantom-kidney", tmp_path, weights), lambda line: None)
    assert load_model(path).spec.positive_class == "dilated"
    assert "not a medical device" in path.with_suffix(".md").read_text()


def test_recipe_that_needs_data_says_so(tmp_path, weights):
    with pytest.raises(UsageError, match="give --data FOLDER with frames"):
        run_recipe(order("lung", tmp_path, weights), print)


def test_recipe_that_generates_its_clips_takes_no_data(tmp_path, weights):
    with pytest.raises(UsageError, match="leave --data out"):
        run_recipe(order("phantom-kidney", tmp_path, weights, tmp_path), print)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"w": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="1 tensors that do not fit mobilenetv2_100"):
        run_recipe(order("phantom-kidney", tmp_path, tmp_path / "other.pth"), print)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_c08_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, weights):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match=r"\[C08\]"):
        run_recipe(order("phantom-kidney", tmp_path, weights), print)


def test_c08_file_in_place_of_the_run_folder_is_refused_before_any_work(tmp_path, weights):
    (tmp_path / "phantom-kidney").write_text("in the way")
    with pytest.raises(StorageError, match=r"\[C08\]"):
        run_recipe(order("phantom-kidney", tmp_path, weights), print)


def test_shipped_recipes_name_their_own_file():
    assert {path.stem for path in RECIPES.glob("*.toml")} == {"lung", "phantom-kidney"}
