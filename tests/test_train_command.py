"""Facts about whole training runs by the command's own function: all six systems, tiny."""

import os
from pathlib import Path

import msgspec
import openpyxl
import pytest

from engines.errors import EngineError
from engines.load import load_model
from stream.errors import UsageError
from tests.train_data import BUILDERS
from train.command import Order, run_recipe
from train.data.seen import LIST_NAME
from train.runs.results import RANDOM_START, RunReport
from train.scoring.evaluate import evaluate_model

SIZES = {"auto-pcos": 224, "puj": 128}
LEFT = (
    "model.onnx",
    "model.md",
    "metrics.json",
    "metrics.md",
    "history.csv",
    "recipe.json",
    "audit.json",
    "audit.html",
    "predictions.xlsx",
    LIST_NAME,
)
FIGURES = ("confusion", "roc", "pr", "reliability", "tsne", "learning")
pytestmark = [pytest.mark.timeout(300)]


def order(recipe, out, data=None, **changes):
    values = {"weights": "random", "quick": True, "input_px": SIZES.get(recipe, 96)} | changes
    return Order(recipe, data, Path(values.pop("weights")), out, **values)


@pytest.fixture(scope="module", params=BUILDERS)
def run(request, tmp_path_factory):
    name, out = request.param, tmp_path_factory.mktemp("runs")
    data = BUILDERS[name](tmp_path_factory.mktemp("data"))
    run_recipe(order(name, out, data), lambda line: None)
    return name, data, out / name


def read_metrics(folder):
    return msgspec.json.decode((folder / "metrics.json").read_bytes(), type=RunReport)


@pytest.mark.slow
def test_every_system_leaves_its_model_figures_and_audit(run):
    name, _, folder = run
    assert [file for file in LEFT if not (folder / file).is_file()] == []
    wanted = [folder / "figures" / f"{figure}.png" for figure in FIGURES]
    if name == "puj":
        wanted += [
            folder / "figures" / variant / f"{figure}.png"
            for variant in ("vgg16", "inception_v3", "densenet121")
            for figure in ("confusion", "tsne", "activations", "roc")
        ]
    if name in ("pcos-mobilenet", "auto-pcos"):
        wanted += [folder / "report.pdf"]
        wanted += [folder / "attribution" / f"{part}.png" for part in ("validation", "test")]
    if name == "pcos-mobilenet":
        wanted += [folder / "attribution" / f"{part}-1.png" for part in ("validation", "test")]
    assert [str(path) for path in wanted if not path.is_file()] == []


@pytest.mark.slow
def test_every_system_says_that_it_started_from_nothing(run):
    _, _, folder = run
    assert RANDOM_START in read_metrics(folder).warnings
    assert RANDOM_START in (folder / "model.md").read_text()


@pytest.mark.slow
def test_every_exported_model_equals_torch(run):
    _, _, folder = run
    parity = read_metrics(folder).parity
    assert set(parity) == {"logits", "probs", "cam", "features"}
    assert max(parity.values()) < 1e-3


@pytest.mark.slow
def test_every_model_is_measured_by_the_engine_as_the_run_says(run):
    name, data, folder = run
    report, spec = read_metrics(folder), load_model(folder / "model.onnx").spec
    assert spec.metrics["frame_accuracy"] == report.frames.accuracy.value
    if name == "lung":
        found = evaluate_model(folder / "model.onnx", [str(data)], "auto")
        assert found.seen == found.frames.count == 24
        assert found.banner


@pytest.mark.slow
def test_every_compared_network_has_validation_and_test_figures(run):
    name, _, folder = run
    variants = read_metrics(folder).variants
    counts = {"puj": 4, "fibroid": 8, "mura-hybrid": 5, "lung": 0}
    assert len(variants) == counts.get(name, 1)
    assert all(variant.test.count and variant.validation.count for variant in variants.values())


@pytest.mark.slow
def test_predictions_list_every_held_out_frame(run):
    _, _, folder = run
    rows = list(openpyxl.load_workbook(folder / "predictions.xlsx").active.iter_rows())
    assert len(rows) - 1 == read_metrics(folder).frames.count


@pytest.mark.slow
def test_a_cascade_has_a_figure_for_each_region(run):
    name, _, folder = run
    if name == "mura-hybrid":
        assert set(read_metrics(folder).parts) == {"elbow", "humerus", "wrist"}
        assert (folder / "figures" / "parts.png").is_file()


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
