"""Facts about whole training runs: all six systems, tiny."""

import msgspec
import openpyxl
import pytest

from engines.load import load_model
from tests.train_data import BUILDERS, order
from train.command import run_recipe
from train.data.seen import LIST_NAME
from train.runs.results import RANDOM_START, RunReport
from train.scoring.evaluate import evaluate_model

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
