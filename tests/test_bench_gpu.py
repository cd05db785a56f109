"""Facts about what the benchmarks measure of an NVIDIA card, as far as they show without one."""

import time
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import jsonschema
import msgspec
import numpy as np
import pytest
import torch

from benchmarks import bench_engines, engine_page, engine_torch, gpu_card, gpu_replay
from benchmarks.engine_rows import list_rows
from benchmarks.engine_start import measure_start
from benchmarks.engine_subjects import Subject
from benchmarks.engine_torch import TorchRunner, open_torch
from benchmarks.engine_turns import draw_noise, keep_busy
from benchmarks.gpu_bound import count_bytes, find_bounds
from benchmarks.gpu_card import covered, measure_bandwidth, torch_faults, trace_device_s
from benchmarks.gpu_replay import BACKENDS, Card, compare_loops, measure_busy, name_loop, open_card
from benchmarks.plan import Plan
from benchmarks.replay_race import Lap
from benchmarks.report_file import schema_text
from benchmarks.result import Report, Row
from engines.errors import EngineError
from engines.load import load_model
from tests.clips import write_clip
from tests.cuda.kit import ROOT, need, run_with_fake
from tests.networks import make_recipe
from tests.tiny_model import SIZE, build_tiny, save_tiny
from tests.trt_standin.nets import save_net

TRACED_S = 1e-5
FRAME = SIZE * SIZE * 3
TINY_CONSTANTS = 4 * (1 + 6 + 6 + 2 + 1) + 8 * 2
"""Scale, kernel, weight, bias and temperature, and two int64 axes."""
TINY_FRAME = (FRAME + 4 * 32) + (FRAME + 4 * 2) + 4 * (2 + 2 + 3)
"""The map's convolution and the last layer read the frame; logits, probs and features."""


def test_time_covered_by_kernels_counts_overlaps_once_and_gaps_never():
    assert covered([(10, 14), (0, 4), (3, 6), (4, 5), (14, 15)]) == 6 + 5


def test_time_of_work_is_that_of_one_frame_and_no_more_than_the_clock_says():
    began_s = time.perf_counter()
    traced_s = trace_device_s(lambda: torch.ones(400, 400).matmul(torch.ones(400, 400)).ndim, "cpu")
    assert 0 < traced_s * 2 < time.perf_counter() - began_s


def test_trace_that_saw_nothing_is_an_error():
    with pytest.raises(EngineError, match="saw no work"):
        trace_device_s(lambda: 1, "cpu")


def test_bandwidth_counts_what_is_read_and_what_is_written(monkeypatch):
    clock_ns = iter([0, 10**9])
    monkeypatch.setattr(gpu_card.time, "perf_counter_ns", lambda: next(clock_ns))
    assert measure_bandwidth("cpu", 1000) == 2 * 1000 * gpu_card.COPIES


def test_bytes_of_the_hand_worked_model(tmp_path):
    model = load_model(save_tiny(tmp_path))
    assert count_bytes(model, "fp32") == (TINY_CONSTANTS, TINY_FRAME)


def test_half_precision_halves_what_layers_leave_to_each_other(tmp_path):
    model = load_model(save_net(tmp_path / "net.onnx"))
    whole, half = (count_bytes(model, precision)[1] for precision in ("fp32", "fp16"))
    # 8 channels of 16 x 16 and twice 8 x 8 are written; all are read once, the last for two
    # layers: the class map, and the last layer, which pools it. Those two stay in float32.
    written, read = 2048 + 512 + 512, 2048 + 512 + 512 + 512
    assert whole - half == 2 * (written + read)


def test_bound_moves_constants_once_a_run_and_all_else_for_each_frame(tmp_path):
    bounds = find_bounds(load_model(save_tiny(tmp_path)), (1, 4), [1e6, 2e6])
    one, four = [bound for bound in bounds if bound["precision"] == "fp32"]
    assert one["bytes"] == TINY_CONSTANTS + TINY_FRAME
    assert four["bytes"] == TINY_CONSTANTS + 4 * TINY_FRAME
    assert four["fps_rounds"] == [4e6 / four["bytes"], 8e6 / four["bytes"]]


def test_compiled_row_of_torch_is_the_one_with_cuda_graphs(monkeypatch):
    told = []
    monkeypatch.setattr(torch, "compile", lambda run, **how: told.append(how) or run)
    runner = TorchRunner(make_recipe(), "torch-compile", 2, "cpu")
    assert told == [{"mode": "reduce-overhead", "fullgraph": True, "dynamic": False}]
    assert keep_busy(runner, draw_noise((64, 64), 2), 0.0) == 2


def test_what_torch_cannot_do_is_one_line():
    with pytest.raises(EngineError) as caught, torch_faults("net"):
        raise torch.cuda.OutOfMemoryError("no room\nmore")
    assert caught.value.problem == "OutOfMemoryError: no room"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_network_that_torch_cannot_open_is_one_line():
    with pytest.raises(EngineError, match=r"tiny: .*Error: .+"):
        open_torch(make_recipe(), "torch-eager", 1)


def test_engine_that_cannot_be_started_apart_says_its_last_line(tmp_path):
    with pytest.raises(EngineError, match="no such model file"):
        measure_start(tmp_path / "absent.onnx", list_rows((1,))[0], tmp_path / "cache")


def pretend(patch):
    """Let torch on the CPU pass for a card; torch alone, as where TensorRT is absent."""
    patch.setattr("benchmarks.engine_rows.installed_engines", lambda: ("openvino", "onnxruntime"))
    patch.setattr("benchmarks.engine_rows._find_torch_obstacle", str)
    patch.setattr(engine_torch, "TorchRunner", partial(TorchRunner, device="cpu"))
    patch.setattr(gpu_card, "trace_device_s", partial(trace_device_s, device="cpu"))
    small = partial(measure_bandwidth, device="cpu", size=1 << 16)
    patch.setattr(gpu_card, "measure_bandwidth", small)
    patch.setattr(torch, "compile", lambda run, **how: run)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return the part of a quick run for a card, on the hand-worked model."""
    path = save_tiny(tmp_path_factory.mktemp("model"))
    build = build_tiny(precision="int8", reference_digest=load_model(path).digest)
    path.with_suffix(".int8.onnx").write_bytes(build.SerializeToString())
    judged = SimpleNamespace(origin="no frames")
    subject = Subject("densenet121", path, load_model(path), False, None, judged)
    recipe = make_recipe(input_px=SIZE)
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch)
        patch.setattr("benchmarks.engine_measure.find_recipe", lambda subject: recipe)
        patch.setattr(gpu_card, "trace_device_s", lambda work: TRACED_S * bool(work()))
        patch.setattr(bench_engines, "QUICK_S", 0.01)
        patch.setattr(bench_engines, "find_obstacle", lambda *_: "left out")  # maps on the CPU
        patch.setattr(bench_engines, "open_subjects", lambda *_: [subject])
        return bench_engines.measure(Plan(quick=True, rounds=2, device="cuda"))


def test_without_tensorrt_torch_is_measured_and_the_rest_has_a_reason(measured):
    names = {row.name for row in measured.rows}
    for backend in ("torch-eager", "torch-compile"):
        title = f"densenet121: {backend} fp16 throughput b1"
        assert {title, f"{title}, a run", f"{title}, GPU busy"} <= names
    reasons = {skip.row: skip.reason for skip in measured.skipped}
    assert reasons["densenet121: tensorrt fp16 throughput b1"] == "tensorrt is not installed"
    assert reasons["densenet121: openvino fp32 throughput b1"] == "the run was for cuda"


def test_share_of_time_is_the_traced_time_of_a_frame_times_the_rate(measured):
    rows = {row.name: row for row in measured.rows}
    title = "densenet121: torch-eager fp16 throughput b1"
    shares = np.array(rows[f"{title}, GPU busy"].values)
    assert np.allclose(shares, TRACED_S * np.array(rows[title].values))


def test_share_of_the_bandwidth_is_that_of_the_row_over_its_bound(measured):
    rows = {row.name: row for row in measured.rows}
    title = "densenet121: torch-eager fp16 throughput b1"
    (ratio,) = (ratio for ratio in measured.ratios if ratio.of == title)
    assert rows[ratio.to].role == "limit" and ratio.to == "densenet121: memory bandwidth fp16 b1"
    wanted = np.array(rows[title].values) / np.array(rows[ratio.to].values)
    assert np.allclose(ratio.values, wanted)


def test_report_of_a_card_fits_the_schema_and_misses_no_budget_of_the_processor(measured):
    machine = {"gpu": "a card"}
    report = Report(created="2026-01-01T00:00:00Z", machine=machine, quick=True, parts=(measured,))
    schema = msgspec.json.decode(schema_text())
    jsonschema.Draft202012Validator(schema).validate(
        msgspec.json.decode(msgspec.json.encode(report))
    )
    trained = measured.details["models"][0] | {"trained": True, "cam": []}
    assert list(bench_engines.find_ratios(trained)) == []


def test_page_shows_a_card_by_its_share_of_time_and_of_the_bandwidth(measured):
    (head, _, row, *_) = engine_page._show_card(measured.details["models"])
    assert head.split(" | ")[-2:] == ["GPU busy", "of memory bandwidth |"]
    assert row.startswith("| densenet121 | torch-eager fp16 | 1 |") and row.count("%") == 2


def test_run_for_the_cpu_measures_nothing_of_a_card():
    assert gpu_replay.find_obstacle("torch-eager", "cpu")
    assert measure_busy(Card(), [], []) == ([], [])


def test_replay_without_a_card_names_why_for_each_runtime(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_replay, "find_obstacle", lambda name, _: f"no {name}")
    with ExitStack() as stack:
        card = open_card(stack, tmp_path, quick=False)
    assert card.loops == {} and list(tmp_path.iterdir()) == []
    assert [skip.row for skip in card.skipped] == [f"{name} fp16" for name in BACKENDS]
    assert card.skipped[0].reason == "no tensorrt"


def test_replay_compares_the_preferred_runtime_with_torch_only():
    rates = {"tensorrt": 6.0, "onnxruntime-cuda": 3.0, "torch-eager": 2.0}
    rows = {
        name: Row(name=name, unit="frames/s", values=(rate,))
        for backend, rate in rates.items()
        for name in [name_loop(backend, "mobilenetv2")]
    }
    (ratio,) = compare_loops(rows)
    assert ratio.values == (3.0,) and ratio.of.startswith("sonostream, tensorrt")
    assert ratio.to == "torch-eager fp16, mobilenetv2"


def test_replay_with_torch_on_the_card_is_timed_and_traced(monkeypatch, tmp_path):
    pretend(monkeypatch)
    recipe = make_recipe(input_px=224)
    monkeypatch.setattr(gpu_replay, "usual_recipe", lambda label: recipe)
    clip = str(write_clip(tmp_path / "clip.mp4", 5))
    with ExitStack() as stack:
        found = open_card(stack, tmp_path, quick=True)
        loop = found.loops["torch-eager fp16, mobilenetv2"]
        assert loop([clip, clip]) == 10
        laps = [Lap(dict.fromkeys(found.loops, 7.0), {}, {})]
        busy, skipped = measure_busy(found, laps, [clip])
    assert min(row.values[0] for row in busy) > 0
    assert skipped == [] and [row.name for row in busy] == [f"{n}, GPU busy" for n in found.loops]
    absent = {"tensorrt fp16", "onnxruntime-cuda fp16"}
    assert absent <= {skip.row for skip in found.skipped}


def test_tensorrt_rows_and_replay_run_over_the_fake_driver():
    need("pycuda", "driver")
    done = run_with_fake(ROOT / "tests" / "cuda" / "bench_on_fake.py")
    assert done.returncode == 0, done.stderr
