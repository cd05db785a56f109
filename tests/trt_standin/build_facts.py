"""The builder: what it is told, what it says, and what it keeps."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import onnx
import pytest
import tensorrt as trt

from engines.errors import EngineError
from engines.load import load_model
from engines.open import DEMO_MODEL
from engines.options import EngineOptions, parse_batch
from engines.trt import build, compile_engine, identify, inspect_engine
from engines.trt.progress import Progress
from tests.cuda.kit import FakeDriver
from tests.tiny_model import build_tiny, save_tiny
from tests.trt_standin.conftest import UP_TO_4, require_nothing_left


@pytest.fixture(autouse=True)
def nothing_is_left(driver):
    yield
    require_nothing_left(driver)


def quiet(line):
    pass


def header(plan):
    return json.loads(bytes(plan).removeprefix(b"stand-in plan ").partition(b"\n")[0])


def network(plan):
    return onnx.load_from_string(bytes(plan).partition(b"\n")[2])


def test_the_identity_names_version_card_and_driver():
    identity = identify(EngineOptions())
    assert identity.version == trt.__version__
    assert "compute capability" in identity.device
    assert identity.driver.startswith("CUDA ")


def test_a_plan_is_for_the_batches_asked_and_shows_its_layers(plan):
    assert header(plan)["profile"] == [[n, 32, 32, 3] for n in (1, 2, 4)]
    assert header(plan)["verbosity"] == "DETAILED"


def test_single_precision_is_not_rounded_to_tensor_cores_and_half_is_in_the_graph(model, plan):
    assert header(plan)["flags"] == []
    half = network(compile_engine(load_model(DEMO_MODEL), EngineOptions("fp16"), quiet))
    assert onnx.TensorProto.FLOAT16 in {tensor.data_type for tensor in half.graph.initializer}
    assert (
        network(plan).SerializeToString() == onnx.load_from_string(model.data).SerializeToString()
    )


def test_int8_needs_a_model_that_was_calibrated(model):
    with pytest.raises(EngineError, match="int8 asked, but the model is fp32"):
        compile_engine(model, EngineOptions("int8"), quiet)


def test_portability_is_asked_for_by_name(model):
    plan = compile_engine(model, EngineOptions(version_compatible=True), quiet)
    assert header(plan)["flags"] == ["VERSION_COMPATIBLE"]
    plan = compile_engine(model, EngineOptions(hardware_compatible=True), quiet)
    assert header(plan)["hardware"] == "AMPERE_PLUS"


def test_f05_the_builder_keeps_to_the_workspace(model):
    driver = FakeDriver()
    driver.set_memory(1 << 20)
    compile_engine(model, EngineOptions(workspace_mib=1), quiet)
    with pytest.raises(EngineError, match=r"\[F05\].*out of memory"):
        compile_engine(model, EngineOptions(workspace_mib=2), quiet)
    driver.set_memory(8 << 30)


def test_m05_a_graph_that_tensorrt_would_refuse_is_refused_by_name(tmp_path):
    graph = build_tiny()
    last = graph.graph.node[-1]
    last.op_type = "Bernoulli"
    del last.attribute[:]
    onnx.save(graph, tmp_path / "odd.onnx")
    with pytest.raises(EngineError, match=r"\[M05\] odd.onnx: TensorRT would refuse: Bernoulli"):
        compile_engine(load_model(tmp_path / "odd.onnx"), EngineOptions(), quiet)


def test_m05_what_the_parser_says_is_quoted_with_the_node(monkeypatch, tmp_path):
    graph = build_tiny()
    first = graph.graph.node[0]
    first.op_type, first.name = "Identity", "straight_in"
    model = load_model(save_tiny(tmp_path, graph))
    monkeypatch.setattr(build, "typed_graph", lambda data, precision: data)
    monkeypatch.setattr(build, "find_refusals", lambda data: ())
    with pytest.raises(EngineError, match=r"\[M05\].*Identity 'straight_in': UINT8 is taken by"):
        compile_engine(model, EngineOptions(), quiet)


def test_m05_a_network_that_is_not_strongly_typed_would_be_refused(monkeypatch, model):
    untyped = trt.INetworkDefinition(0)
    monkeypatch.setattr(trt.Builder, "create_network", lambda self, flags=0: untyped)
    with pytest.raises(EngineError, match=r"\[M05\].*not strongly typed"):
        compile_engine(model, EngineOptions(), quiet)


def test_a_build_says_how_far_it_is(model):
    lines = []
    compile_engine(model, EngineOptions(), lines.append)
    assert lines == [
        "TensorRT: Building Engine, 3 steps",
        *(f"TensorRT: Tactic Selection, {done} of 8" for done in (2, 4, 6, 8)),
    ]


def test_a_person_can_interrupt_a_build(model):
    told = []

    def interrupt(line):
        told.append(line)
        if "4 of 8" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_engine(model, EngineOptions(), interrupt)
    assert told[-1] == "TensorRT: Tactic Selection, 4 of 8"


def test_an_interrupted_monitor_lets_no_step_pass():
    def interrupt(line):
        raise KeyboardInterrupt

    progress = Progress(interrupt)
    progress.phase_start("Building", None, 8)
    assert progress.step_complete("Building", 0) is False
    assert progress.interrupted


def test_the_timing_cache_is_kept_and_joined_with_what_others_wrote(model, tmp_path):
    path = tmp_path / "timing.cache"
    options = EngineOptions(timing_cache=path)
    compile_engine(model, options, quiet)
    kernels = path.read_bytes().removeprefix(b"stand-in timing cache ")
    assert "Conv kernel" in json.loads(kernels)
    path.write_bytes(b'stand-in timing cache ["their kernel"]')
    compile_engine(model, options, quiet)
    assert b"their kernel" in path.read_bytes()
    assert b"Conv kernel" in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_what_another_process_measured_meanwhile_is_not_lost(model, tmp_path):
    path = tmp_path / "timing.cache"

    def write_meanwhile(line):
        path.write_bytes(b'stand-in timing cache ["their kernel"]')

    compile_engine(model, EngineOptions(timing_cache=path), write_meanwhile)
    assert b"their kernel" in path.read_bytes()
    assert b"Conv kernel" in path.read_bytes()


def test_a_damaged_timing_cache_is_ignored_with_a_line(model, tmp_path):
    path = tmp_path / "timing.cache"
    path.write_bytes(b"\x00" * 100)
    lines = []
    compile_engine(model, EngineOptions(timing_cache=path), lines.append)
    assert lines[0].startswith("timing.cache: no timing cache of this TensorRT")
    assert path.read_bytes().startswith(b"stand-in timing cache")


def test_a_timing_cache_that_cannot_be_written_does_not_cost_the_plan(model, tmp_path):
    lines = []
    path = tmp_path / "absent" / "timing.cache"
    assert compile_engine(model, EngineOptions(timing_cache=path), lines.append)
    assert (
        lines[-1] == "timing.cache: the timing cache cannot be written: No such file or directory"
    )


@pytest.mark.parametrize("version", ["10.16.1.11", "11.4.0.106"])
def test_the_inspector_is_read_in_the_words_of_both_majors(monkeypatch, model, version):
    monkeypatch.setattr(trt, "__version__", version)
    layers = inspect_engine(compile_engine(model, UP_TO_4, quiet))
    conv = next(layer for layer in layers if layer.kind == "Conv")
    assert conv.name == "cam"
    assert conv.tactic == "stand_in_conv"
    assert conv.writes[0].startswith(("Row major linear FP32", "Float Row major linear"))


def test_two_threads_may_build_side_by_side(model):
    options = [replace(UP_TO_4, batch=parse_batch(str(count))) for count in (1, 2, 3, 4)]
    with ThreadPoolExecutor(2) as pool:
        plans = pool.map(lambda each: compile_engine(model, each, quiet), options)
    assert [header(plan)["profile"][0][0] for plan in plans] == [1, 2, 3, 4]
