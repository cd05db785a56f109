"""`stream doctor --gpu`, where TensorRT seems to be installed."""

import msgspec
import pytest
import tensorrt as trt

from engines.errors import EngineError
from stream import doctor_gpu
from stream.gpu_report import GpuReport
from tests.cuda.kit import NO_DEVICE
from tests.trt_standin.conftest import require_nothing_left
from tests.trt_standin.nets import save_int8_net


def test_every_precision_is_built_compared_and_timed(examine, driver, tmp_path):
    code, report, text = examine(save_int8_net(tmp_path / "net.int8.onnx"))
    assert code == 0
    assert [trial.precision for trial in report.trials] == ["fp32", "fp16", "int8"]
    for trial in report.trials:
        assert trial.agrees
        assert trial.error == ""
        assert [timing.batch for timing in trial.timings] == [1, 4, 8]
        assert {"name", "kind", "tactic", "reads", "writes"} == set(trial.layers[0])
    assert report.trials[0].probs_difference < 1e-6
    assert 0 < report.trials[1].probs_difference < 1e-2
    assert "QuantizeLinear" in {layer["kind"] for layer in report.trials[2].layers}
    assert "Fake CUDA device" in text
    assert "| int8 | yes |" in text
    require_nothing_left(driver)


def test_what_tensorrt_says_is_in_the_report_and_the_rest_goes_on(monkeypatch, examine):
    build = trt.Builder.build_serialized_network

    def fail_once(self, network, config):
        monkeypatch.setattr(trt.Builder, "build_serialized_network", build)
        self._logger.log(trt.ILogger.Severity.WARNING, "weights look odd")
        self._logger.log(trt.ILogger.Severity.ERROR, "no implementation for node cam")

    monkeypatch.setattr(trt.Builder, "build_serialized_network", fail_once)
    code, report, text = examine()
    assert code == EngineError.exit_code
    assert "no implementation for node cam" in report.trials[0].error
    assert "weights look odd" in report.trials[0].log
    assert [trial.agrees for trial in report.trials] == [False, True]
    assert "no implementation for node cam" in text


def test_a_surprise_is_in_the_report_and_the_rest_goes_on(monkeypatch, examine):
    def surprise(plan, options):
        monkeypatch.setattr(doctor_gpu, "inspect_engine", lambda plan, options: [])
        raise KeyError("Layers")

    monkeypatch.setattr(doctor_gpu, "inspect_engine", surprise)
    code, report, _ = examine()
    assert code == EngineError.exit_code
    assert report.trials[0].error == "KeyError: 'Layers'"
    assert "in surprise" in report.trials[0].log[-2]
    assert [trial.agrees for trial in report.trials] == [False, True]


def test_what_was_found_before_the_process_dies_is_in_the_report(monkeypatch, examine, tmp_path):
    compile_engine = doctor_gpu.compile_engine

    def die_of_half(model, options, say):
        if options.precision == "fp16":
            raise SystemExit
        return compile_engine(model, options, say)

    monkeypatch.setattr(doctor_gpu, "compile_engine", die_of_half)
    with pytest.raises(SystemExit):
        examine()
    report = msgspec.json.decode((tmp_path / "gpu-report.json").read_bytes(), type=GpuReport)
    assert [trial.agrees for trial in report.trials] == [True]


def test_wrong_answers_do_not_pass(monkeypatch, examine):
    monkeypatch.setattr("engines.trt.slot.Slot.wait", lambda self: None)
    code, report, _ = examine()
    assert code == EngineError.exit_code
    assert not any(trial.agrees for trial in report.trials)


def test_without_a_card_the_report_says_so_and_the_command_fails(examine, driver, tmp_path):
    driver.fail("init", NO_DEVICE, mode="always")
    with pytest.raises(EngineError, match="none is usable"):
        examine()
    assert "none is usable" in (tmp_path / "gpu-report.md").read_text()
