"""Facts about the engine benchmark, on a hand-worked model too small to mean anything."""

from xml.etree import ElementTree

import cv2
import msgspec
import numpy as np
import pytest

from benchmarks import bench_engines, engine_page
from benchmarks.budgets import judge, read_budgets
from benchmarks.cli import bench
from benchmarks.engine_frontier import collect_points, draw_frontier
from benchmarks.engine_parts import fix_batch, keep_outputs
from benchmarks.engine_rows import BATCHES, DEFAULT_ROW, find_obstacle, list_rows
from benchmarks.engine_start import measure_start
from benchmarks.engine_subjects import Subject, find_recipe
from benchmarks.engine_torch import TorchRunner
from benchmarks.engine_turns import Timing, Turns, draw_noise, take_turns
from benchmarks.engine_variants import find_depthwise
from benchmarks.plan import Plan
from benchmarks.result import Part, Report, Skipped
from engines.errors import EngineError
from engines.explain import explain_graph
from engines.graph_index import parse_graph
from engines.load import load_model
from engines.open import DEMO_MODEL
from engines.ort import open_graph
from stream.errors import UsageError
from tests.networks import make_recipe
from tests.tiny_model import SIZE, build_tiny, save_tiny

PLAN = Plan(quick=True, rounds=2, memory=False)


class Logged:
    """A runner that notes its name; a run of it takes no time worth speaking of."""

    depth = 1

    def __init__(self, name, log):
        self.name, self.log = name, log

    def submit(self, frames):
        self.log.append(self.name)
        return self

    def result(self):
        return self.name


def row(**changes):
    """Return a measured row."""
    gate = {"accepted": True, "missed": [], "top1_agreement": 1.0, "prob_change_max": 0.01}
    times = {"fps": 100.0, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}
    times |= {"over_fp32": 1.0, "over_fp32_min": 0.9, "over_fp32_max": 1.1}
    times |= {"fps_rounds": [100.0], "over_fp32_rounds": [changes.get("over_fp32", 1.0)]}
    setting = {"backend": "openvino", "precision": "bf16", "mode": "throughput", "batch": 1}
    return {**setting, **times, "gate": gate, **changes}


def model(*rows, **changes):
    """Return the figures of one model."""
    facts = {"label": "mobilenetv2-x", "trained": True, "judged_on": "48 frames", "int8": "x"}
    return {**facts, "rows": list(rows), "cam": [], "explain": [], "variants": [], **changes}


def cam(ratio):
    setting = {"backend": "openvino", "precision": "fp32", "whole_ms": 1.0, "plain_ms": 1.0}
    return {
        **setting,
        "ratio": ratio,
        "ratio_min": ratio,
        "ratio_max": ratio,
        "ratio_rounds": [ratio],
    }


def judged(*models, **changes):
    """Return the lines of the budgets that fail."""
    ratios = tuple(ratio for model in models for ratio in bench_engines.find_ratios(model))
    part = Part(name="engines", ratios=ratios, **changes)
    return [str(verdict) for verdict in judge([part], read_budgets()) if verdict.fails]


def missed(*models):
    """Return the lines of budgets that are missed; those without a row are left out."""
    return [line for line in judged(*models) if "missed" in line]


def test_every_backend_and_precision_has_a_row_for_each_batch():
    rows = list_rows()
    kinds = {(row.backend, row.precision) for row in rows}
    assert {("openvino", p) for p in ("fp32", "bf16", "int8")} < kinds
    assert {("tensorrt", "fp16"), ("onnxruntime-cuda", "fp16"), ("torch-eager", "fp16")} < kinds
    assert all(
        {r.batch for r in rows if (r.backend, r.precision) == k} == {*BATCHES} for k in kinds
    )
    assert DEFAULT_ROW in rows and len(set(rows)) == len(rows)


def test_backend_that_is_absent_is_named_as_the_obstacle(monkeypatch):
    monkeypatch.setattr("benchmarks.engine_rows.installed_engines", lambda: ("onnxruntime",))
    assert find_obstacle("tensorrt", "cuda") == "tensorrt is not installed"
    assert find_obstacle("onnxruntime", "cpu") == ""
    assert find_obstacle("onnxruntime", "cuda") == "the run was for cuda"


def test_engines_take_turns_in_every_round():
    log = []
    runners = [(Logged(name, log), draw_noise((32, 32), 1)) for name in "ab"]
    timings = take_turns(runners, Turns(3, 0.0))
    changes = "".join(
        name for name, before in zip(log, [None, *log], strict=False) if name != before
    )
    assert changes == "ab" * 4  # warming up, then three rounds
    assert [len(timing.rates_hz) for timing in timings] == [3, 3]


def test_ratio_is_the_median_over_rounds_of_the_same_round():
    ours, theirs = (
        Timing([[4.0], [6.0], [9.0]], [2, 3, 8]),
        Timing([[2.0], [3.0], [3.0]], [1, 2, 2]),
    )
    rates = {"over_fp32": 2.0, "over_fp32_min": 1.5, "over_fp32_max": 4.0}
    assert ours.rate_over(theirs) == rates | {"over_fp32_rounds": [2.0, 1.5, 4.0]}
    times = {"ratio": 2.0, "ratio_min": 2.0, "ratio_max": 3.0, "ratio_rounds": [2.0, 2.0, 3.0]}
    assert ours.time_over(theirs) == times


def test_pruned_graph_gives_the_same_probs_and_nothing_else(tmp_path):
    data = load_model(save_tiny(tmp_path)).data
    frames = {"frames": draw_noise((SIZE, SIZE), 1)}
    plain = open_graph(fix_batch(keep_outputs(data, ("logits", "probs"))))(frames)
    assert plain.keys() == {"logits", "probs"}
    assert np.array_equal(plain["probs"], open_graph(data)(frames)["probs"])
    assert not any(
        n.op_type == "Conv" for n in parse_graph(keep_outputs(data, ["probs"])).graph.node
    )


def test_gradient_without_steps_is_that_of_the_whole_explanation(tmp_path):
    model = load_model(save_tiny(tmp_path))
    feeds = {"frames": draw_noise((SIZE, SIZE), 1), "seed": np.eye(1, 2, dtype=np.float32)}
    alone = open_graph(keep_outputs(explain_graph(model, 0), ("logits", "gradient")))(feeds)
    whole = open_graph(explain_graph(model))(feeds)
    np.testing.assert_allclose(alone["gradient"], whole["gradient"], rtol=1e-6)


def test_depthwise_layers_of_the_shipped_model_are_eighteen():
    """One in each of 17 blocks (Sandler et al., CVPR 2018, table 2), one in its finer map."""
    assert len(find_depthwise(parse_graph(load_model(DEMO_MODEL).data).graph)) == 18


def test_torch_row_runs_a_network_on_frames():
    runner = TorchRunner(make_recipe(), "torch-eager", 2, "cpu")
    logits, maps, features = runner.submit(draw_noise((64, 64), 2)).result()
    assert logits.shape == (2, 2) and maps.shape[:2] == (2, 2) and len(features) == 2


@pytest.mark.parametrize("changes", [{"gate": None}, {"batch": 4}, {"mode": "latency"}])
def test_row_in_another_setting_meets_no_budget(changes):
    fast = row(over_fp32=9.0, **changes)
    (line,) = missed(model(fast))
    assert line == "budget missed: engines.mobilenetv2-x is 0.00 (noise 0.00), wanted at least 1.60"


def test_rejected_engine_meets_no_budget():
    fast = row(over_fp32=9.0, gate={"accepted": False, "missed": ["top1_agreement 0.5"]})
    slow = row(over_fp32=1.5, precision="int8")
    assert "engines.mobilenetv2-x is 1.50 (noise 0.00)" in missed(model(fast, slow))[0]


def test_budget_kept_and_random_weights_miss_nothing():
    fast = row(over_fp32=1.7)
    random = model(label="densenet121", trained=False)
    skipped = (Skipped("densenet121", "random weights"),)
    assert judged(model(fast, cam=[cam(1.08)]), random, skipped=skipped) == []


def test_maps_above_eight_percent_are_named():
    (line,) = missed(model(row(over_fp32=2.0), cam=[cam(1.09)]))
    assert "engines.cam-mobilenetv2-x, openvino fp32 is 1.09 (noise 0.00), wanted at most" in line


def test_frontier_has_a_mark_for_every_engine_and_variant():
    rejected = {"accepted": False, "missed": ["top1_agreement"], "top1_agreement": 0.5}
    variants = [{"calibrator": "max", "left": "none", "over_fp32": 2.0, "gate": rejected}]
    shown = model(row(), row(backend="onnxruntime", precision="int8"), variants=variants)
    other = model(row(batch=4), row(mode="latency"), row(gate=None))
    assert [len(collect_points(m)) for m in (shown, other)] == [3, 0]
    root = ElementTree.fromstring(draw_frontier([shown], {"mobilenetv2": 1.6}))
    assert len(root.findall("{*}g/{*}circle")) == 2 and len(root.findall("{*}g/{*}rect")) == 1


def test_page_keeps_its_words_and_lists_what_was_not_run(tmp_path, monkeypatch):
    page, plot = tmp_path / "engines.md", tmp_path / "frontier.svg"
    marks = ("measured", "limits")
    parts = [f"<!-- {name}: begin -->\nstale\n<!-- {name}: end -->" for name in marks]
    page.write_text("\n".join(["before", *parts, "after", ""]))
    monkeypatch.setattr(engine_page, "PAGE", page)
    monkeypatch.setattr(engine_page, "PLOT", plot)
    absent = {k: row()[k] for k in ("mode", "batch")} | {"backend": "tensorrt", "precision": "int8"}
    machine = dict.fromkeys(
        ("cores", "processor", "system", "openvino", "onnxruntime", "python", "commit"), "?"
    )
    rows = (row(), {**absent, "not_run": "tensorrt is not installed"})
    details = {"rounds": 2, "round_s": 1, "models": [model(*rows)]}
    part = Part(name="engines", details=details)
    report = Report(created="2026-01-01T00:00:00Z", machine=machine, quick=False, parts=(part,))
    engine_page.write_page([report])
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "stale" not in text
    assert "| tensorrt int8, throughput | not run: tensorrt is not installed " in text
    assert "| `top1_agreement` | at least 0.99 |" in text
    assert plot.read_text().startswith("<svg")


def test_page_of_engines_has_the_limits_in_force():
    page = engine_page.PAGE.read_text()
    assert engine_page.fill(page, "limits", "\n".join(engine_page.show_limits())) == page


@pytest.fixture
def tiny(tmp_path):
    """Return the tiny model with an int8 one beside it, and a folder of labelled pictures."""
    path = save_tiny(tmp_path)
    build = build_tiny(precision="int8", reference_digest=load_model(path).digest)
    (tmp_path / "tiny.int8.onnx").write_bytes(build.SerializeToString())
    rng = np.random.default_rng(0)
    for number in range(24):
        kind = ("blue", "red")[number % 2]
        folder = tmp_path / "frames" / kind
        folder.mkdir(parents=True, exist_ok=True)
        image_bgr = rng.integers(0, 120, (64, 64, 3), np.uint8)
        image_bgr[..., 0 if kind == "blue" else 2] += 120
        cv2.imwrite(str(folder / f"{kind}{'abcdefghij'[number // 8]}_{number:02d}.png"), image_bgr)
    return path


def test_result_holds_every_row_with_figures_or_a_reason(tiny, monkeypatch):
    monkeypatch.setattr(bench_engines, "QUICK_S", 0.01)
    frames = str(tiny.parent / "frames")
    plan = msgspec.structs.replace(PLAN, models=(f"tiny={tiny}",), frames=(frames,))
    part = bench_engines.measure(plan)
    (found,) = part.details["models"]
    wanted = [row for row in list_rows((1,)) if row.mode == "throughput"]
    assert len(found["rows"]) == len(wanted)
    ran = [row for row in found["rows"] if "fps" in row]
    assert {row["backend"] for row in ran} >= {"openvino", "onnxruntime"}
    assert all(row["gate"]["top1_agreement"] == 1 for row in ran if row["precision"] == "fp32")
    usual = ["mobilenetv2", "mobilenetv3", "densenet121"]  # models that were not asked for
    assert [skip.row for skip in part.skipped][-3:] == usual
    assert part.skipped[-4].row == "tiny: memory bandwidth"
    assert len(part.skipped) == len(found["rows"]) - len(ran) + 4
    assert {part["what"] for part in found["explain"]} == {"gradient", "ig, 16 steps"}
    assert "tiny: openvino fp32 throughput b1" in {row.name for row in part.rows}


def test_models_are_for_the_engine_benchmark_only():
    with pytest.raises(UsageError, match="only engines takes models"):
        bench("replay", "model.onnx")


def test_network_of_the_shipped_model_is_known_for_the_rows_of_torch():
    shipped = Subject("x", DEMO_MODEL, load_model(DEMO_MODEL), True, None, None)
    assert find_recipe(shipped).backbones == ("mobilenetv2_100",)


def test_int8_model_is_not_taken_for_the_reference(tiny):
    beside = str(tiny.with_suffix(".int8.onnx"))
    with pytest.raises(EngineError, match="give the FP32 model"):
        bench_engines.open_subjects([beside], (), tiny.parent, quick=True)


def test_start_is_measured_in_processes_of_their_own(tmp_path):
    row = next(row for row in list_rows() if row.backend == "onnxruntime")
    found = measure_start(save_tiny(tmp_path), row, tmp_path / "cache")
    assert min(found.values()) > 0 and found.keys() == {"cold_s", "cached_s", "memory_mib"}
    assert len(list((tmp_path / "cache").iterdir())) == 1
